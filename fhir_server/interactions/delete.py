"""delete and conditional delete. https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from fhir_server.api.errors import Conflict
from fhir_server.api.ports import Answer
from fhir_server.api.records import Draft
from fhir_server.interactions.conditional import single_match
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.update import MAX_TRIES, check_preconditions


async def delete(call: Call, route: Route) -> Answer:
    """Delete the resource; deleting what is not there succeeds too, for the outcome is the same."""
    return await remove(call, route.key)


async def conditional_delete(call: Call, route: Route) -> Answer:
    """Delete the one resource that matches the URL's criteria; several are refused with MultipleMatches."""
    key = await single_match(call, route.type, call.request.query)
    return await remove(call, key) if key is not None else Answer("deleted")


async def remove(call: Call, key: str) -> Answer:
    """Write a tombstone over the current version, which stays in the history."""
    for _ in range(MAX_TRIES):
        current = (await call.records.current([key])).get(key)
        check_preconditions(call, current)
        if current is None or current.deleted:
            return Answer("deleted", key=key, version=current.version if current else 0)
        now = call.services.clock.now()
        tombstone = Draft(key, current.version + 1, now, b"", "DELETE", deleted=True)
        if await call.records.replace([(tombstone, current)]):
            return Answer("deleted", key=key, version=tombstone.version, updated=now)
    raise Conflict(f"{key} is being changed by too many writers at once. Try again.")
