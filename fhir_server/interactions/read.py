"""read and vread. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from fhir_server.api.errors import Deleted, NotFound
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call


async def read(call: Call, route: Route) -> Answer:
    """Return the current version. A resource one may not see does not exist: both are NotFound."""
    found = await call.records.read(route.key)
    if found is None:
        raise NotFound(f"There is no {route.key}.")
    return answer(call, found)


async def vread(call: Call, route: Route) -> Answer:
    """Return one version, current or not."""
    version = int(route.version) if route.version.isascii() and route.version.isdigit() else 0
    found = await call.records.vread(route.key, version) if 0 < version < 1 << 31 else None
    if found is None:
        raise NotFound(f"There is no version {route.version[:64]!r} of {route.key}.")
    return answer(call, found)


def answer(call: Call, found: Stored) -> Answer:
    """Return the record, or that the client has it already; raises Deleted for a deletion."""
    if found.deleted:
        raise Deleted(f"{found.key} was deleted.", version=found.version)
    conditions = call.request.conditions
    if (conditions.if_none_match or conditions.if_modified_since) and not conditions.allows(
        found.version, found.updated
    ):
        return Answer("not-modified", b"", found.key, found.version, found.updated)
    return Answer("ok", found.raw, found.key, found.version, found.updated)
