"""update, update as create, and conditional update. https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from typing import Any

from fhir_server.api.errors import Conflict, Duplicate, PreconditionFailed
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.interactions.conditional import create_unless_matched, id_taken, single_match
from fhir_server.interactions.create import created
from fhir_server.interactions.drafting import body_id, checked, draft, is_unchanged
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call

Json = dict[str, Any]

MAX_TRIES = 50


async def update(call: Call, route: Route) -> Answer:
    """Store the body as the next version of the resource the URL names, or as its first."""
    resource = checked(call, call.request.body, route.type)
    body_id(resource, route.id)
    return await put(call, route.key, resource)


async def conditional_update(call: Call, route: Route) -> Answer:
    """Update the one resource that matches the URL's criteria, or create it, under the body's id if it has one."""
    resource = checked(call, call.request.body, route.type)
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
    made = draft(call, resource, resource_id, deleted.version + 1 if deleted else 1, "PUT")
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
            try:
                await call.records.create([made])
            except Duplicate:
                continue
            return created(made)
        if is_unchanged(resource, current):
            return Answer("ok", current.raw, key, current.version, current.updated)
        made = draft(call, resource, current.id, current.version + 1, "PUT")
        if await call.records.replace([(made, current)]):
            answer = created(made)
            return answer if current.deleted else Answer("ok", *_fields(answer))
    raise Conflict(f"{key} is being changed by too many writers at once. Try again.")


def check_preconditions(call: Call, current: Stored | None) -> None:
    """Raise PreconditionFailed unless If-Match and If-None-Match hold for the current version."""
    conditions = call.request.conditions
    expected = conditions.expected_version()
    if expected is not None and (current is None or current.deleted or current.version != expected):
        found = "is not there" if current is None or current.deleted else f"is at version {current.version}"
        raise PreconditionFailed(f"If-Match names version {expected}, but the resource {found}. Read it again.")
    if conditions.if_none_match.strip() == "*" and current is not None and not current.deleted:
        raise PreconditionFailed("If-None-Match is *, but the resource exists.")


def _fields(answer: Answer) -> tuple[bytes, str, int, int, str]:
    return answer.body, answer.key, answer.version, answer.updated, answer.location
