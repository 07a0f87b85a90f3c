"""patch and conditional patch: JSON Patch, FHIRPath Patch, JSON Merge Patch. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from typing import Any

from fhir_server.api.errors import Conflict, Deleted, InvalidRequest, NotFound, Unprocessable, UnsupportedFormat
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.patch import PatchError, apply_fhirpath_patch, apply_json_patch, apply_merge_patch
from fhir_server.interactions.conditional import single_match
from fhir_server.interactions.drafting import checked, draft, is_unchanged
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.update import MAX_TRIES, check_preconditions

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"
# Clients that name no kind of patch: the body tells, for a list, Parameters and a part of a resource are never alike.
PLAIN_JSON = ("application/json", "text/json")
ACCEPTED = (JSON_PATCH, MERGE_PATCH, FHIR_JSON, *PLAIN_JSON)
ADVERTISED = (JSON_PATCH, MERGE_PATCH, FHIR_JSON, FHIR_XML)


async def patch(call: Call, route: Route) -> Answer:
    """Change the current version as the patch says."""
    return await apply(call, route.key)


async def conditional_patch(call: Call, route: Route) -> Answer:
    """Change the one resource that matches the URL's criteria."""
    key = await single_match(call, route.type, call.request.query)
    if key is None:
        raise NotFound(f"No {route.type} matches the criteria; there is nothing to patch.")
    return await apply(call, key)


async def apply(call: Call, key: str) -> Answer:
    """Patch whatever version is current; a patch that breaks the resource is refused whole."""
    for _ in range(MAX_TRIES):
        current = (await call.records.current([key])).get(key)
        if current is None:
            raise NotFound(f"There is no {key} to patch.")
        if current.deleted:
            raise Deleted(f"{key} was deleted and cannot be patched.", version=current.version)
        check_preconditions(call, current)
        changed = await _changed(call, current)
        if is_unchanged(changed, current):
            return Answer("ok", current.raw, key, current.version, current.updated)
        made = draft(call, changed, current.id, current.version + 1, "PATCH")
        await check_references(call, made, current)
        if await call.records.replace([(made, current)]):
            return Answer("ok", made.raw, key, made.version, made.updated, f"{key}/_history/{made.version}")
    raise Conflict(f"{key} is being changed by too many writers at once. Try again.")


async def _changed(call: Call, current: Stored) -> dict[str, Any]:
    body = call.request.body
    content = _kind(call.request.content, body)
    before = decode_stored(current.raw)
    try:
        if content == JSON_PATCH:
            after = apply_json_patch(before, body)
        elif content == MERGE_PATCH:
            after = apply_merge_patch(before, body)
        elif content in (FHIR_JSON, FHIR_XML):
            after = apply_fhirpath_patch(before, body)
        else:
            raise UnsupportedFormat(f"PATCH takes {', '.join(ACCEPTED)}.")
    except PatchError as error:
        raise Unprocessable(issues=[error.issue]) from error
    if after.get("resourceType") != current.type or after.get("id") != current.id:
        raise InvalidRequest("A patch cannot change resourceType or id.", expression=f"{current.type}.id")
    return await checked(call, after, current.type)


def _kind(content: str, body: Any) -> str:
    """Return the media type of a patch, read from the body where the client only said JSON."""
    if content not in PLAIN_JSON:
        return content
    if isinstance(body, list):
        return JSON_PATCH
    is_parameters = isinstance(body, dict) and body.get("resourceType") == "Parameters"
    return FHIR_JSON if is_parameters else MERGE_PATCH
