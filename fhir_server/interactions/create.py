"""create and conditional create. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from fhir_server.api.ports import Answer
from fhir_server.api.records import Draft
from fhir_server.interactions.conditional import create_unless_matched
from fhir_server.interactions.drafting import checked, draft
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call


async def create(call: Call, route: Route) -> Answer:
    """Store the body under a new id; with If-None-Exist only where nothing matches its criteria."""
    resource = checked(call, call.request.body, route.type)
    made = draft(call, resource, call.services.ids.new_id(), 1, "POST")
    if criteria := call.request.conditions.if_none_exist:
        return await create_unless_matched(call, route.type, criteria, made)
    await call.records.create([made])
    return created(made)


def created(made: Draft) -> Answer:
    """Return the answer for a first version just written."""
    return Answer("created", made.raw, made.key, made.version, made.updated, f"{made.key}/_history/{made.version}")
