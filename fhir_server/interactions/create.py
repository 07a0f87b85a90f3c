"""create and conditional create. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from fhir_server.api.errors import InvalidRequest
from fhir_server.api.ports import Answer
from fhir_server.api.records import Draft
from fhir_server.interactions.conditional import create_unless_matched
from fhir_server.interactions.drafting import checked, draft
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call


async def create(call: Call, route: Route) -> Answer:
    """Store the body under a new id; with If-None-Exist only where nothing matches its criteria."""
    criteria = [name for name, _ in call.request.query if name not in ("_format", "_pretty", "_summary", "_elements")]
    if criteria:
        raise InvalidRequest(
            "A create takes no search parameters; to create only where nothing matches, send them in If-None-Exist.",
            location=f"http.{criteria[0][:64]}",
        )
    resource = await checked(call, call.request.body, route.type, is_new=True)
    made = draft(call, resource, call.services.ids.new_id(), 1, "POST")
    if condition := call.request.conditions.if_none_exist:
        return await create_unless_matched(call, route.type, condition, made)
    await check_references(call, made)
    await call.records.create([made])
    return created(made)


def created(made: Draft) -> Answer:
    """Return the answer for a first version just written."""
    return Answer("created", made.raw, made.key, made.version, made.updated, f"{made.key}/_history/{made.version}")
