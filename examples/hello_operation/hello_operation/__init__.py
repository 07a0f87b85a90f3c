"""Patient/$hello: the smallest operation that works. https://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Json, NotFound, Operation, OperationContext, decode_stored


async def hello(context: OperationContext) -> Json:
    """Greet the patient by given name; who has none is greeted all the same."""
    found = await context.records.read(context.key)
    if found is None or found.deleted:
        raise NotFound(f"There is no {context.key} to greet.")
    names = decode_stored(found.raw).get("name", [])
    given = next((part for name in names for part in name.get("given", [])), "stranger")
    greeting = context.parameters.one("greeting") or "Hello"
    message = {"name": "message", "valueString": f"{greeting}, {given}!"}
    return {"resourceType": "Parameters", "parameter": [message]}


OPERATION = Operation(definition=files(__name__) / "definition.json", instance=hello)
