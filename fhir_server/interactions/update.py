"""update, update as create, and conditional update. https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from typing import Any

from fhir_server.api.errors import Conflict, Duplicate, PreconditionFailed
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.interactions.conditional import create_unless_matched, id_taken, single_match
from fhir_server.interactions.create import created
from fhir_server.interactions.drafting import RECREATED, body_id, checked, draft, is_unchanged
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call

Json = dict[str, Any]

MAX_TRIES = 50


async def update(call: Call, route: Route) -> Answer:
    """Store the body as the next version of the resource the URL names, or as its first."""
    resource = await checked(call, call.request.body, route.type)
    body_id(resource, route.id)
    return await put(call, route.key, resource)


async def conditional_update(call: Call, route: Route) -> Answer:
    """Update the one resource that matches the URL's criteria, or create it, under the body's id if it has one."""
    resource = await checked(call, call.request.body, route.type)
    key = await single_match(call, route.type, call.request.query)
    if key is None:
        answer = await _create_unmatched(call, route, resource)
        if answer.kind == "created":
            return answer
        # Somebody else created the match in between: what this client sent is an update of it, and must not be lost.
        key = answer.key
    if "id" in resource:
        body_id(resource, key.partition("/")[2])
    return await put(call, key, resource)


async def _create_unmatched(call: Call, route: Route, resource: Json) -> Answer:
    check_preconditions(call, None)
    resource_id, deleted = resource.get("id"), None
    if resource_id is None:
        resource_id = call.services.ids.new_id()
    else:
        key = f"{route.type}/{resource_id}"
        deleted = (await call.records.current([key])).get(key)
        if deleted is not None and not deleted.deleted:
            match = await single_match(call, route.type, call.request.query)
            if match is None:
                raise id_taken(key)
            return Answer("ok", key=match)  # it came in between
    if deleted is None:
        made = draft(call, resource, resource_id, 1, "PUT")
    else:
        made = draft(call, resource, resource_id, deleted.version + 1, RECREATED)
    return await create_unless_matched(call, route.type, call.request.query, made, deleted)


async def put(call: Call, key: str, resource: Json) -> Answer:
    """Write the resource over whatever version is current, honouring If-Match and If-None-Match.

    Two writers at once: the second sees that its version is no longer current and starts again from the new one,
    unless it named the version it knows. Writing what is there already makes no new version.
    """
    for _ in range(MAX_TRIES):
        current = (await call.records.current([key])).get(key)
        check_preconditions(call, current)
        if current is None:
            made = draft(call, resource, key.partition("/")[2], 1, "PUT")
            await check_references(call, made)
            try:
                await call.records.create([made])
            except Duplicate:
                continue
            return created(made)
        if is_unchanged(resource, current):
            return Answer("ok", current.raw, key, current.version, current.updated)
        made = draft(call, resource, current.id, current.version + 1, RECREATED if current.deleted else "PUT")
        await check_references(call, made, current)
        if await call.records.replace([(made, current)]):
            answer = created(made)
            return answer if current.deleted else Answer("ok", *_fields(answer))
    raise Conflict(f"{key} is being changed by too many writers at once. Try again.")


def check_preconditions(call: Call, current: Stored | None) -> None:
    """Raise PreconditionFailed unless If-Match and If-None-Match hold for the current version.

    ETags are compared as weak ones, as R4 has them. https://www.rfc-editor.org/rfc/rfc9110#section-13.1
    """
    conditions = call.request.conditions
    exists = current is not None and not current.deleted
    expected = conditions.expected_versions()
    if expected is not None and (not exists or current is None or (expected and current.version not in expected)):
        found = f"is at version {current.version}" if exists and current else "is not there"
        named = f"names version {', '.join(map(str, expected))}" if expected else "asks for any version"
        raise PreconditionFailed(f"If-Match {named}, but the resource {found}. Read it again.")
    if conditions.if_none_match and exists and current and not conditions.allows(current.version, current.updated):
        raise PreconditionFailed("If-None-Match does not want the version that is there.")


def _fields(answer: Answer) -> tuple[bytes, str, int, int, str]:
    return answer.body, answer.key, answer.version, answer.updated, answer.location
