"""ValueSet/$batch-validate-code: many codes checked in one call.

https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig; R4 itself does this with a Bundle of requests.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Any

from fhir_server.api import Failure, InvalidRequest, Json, Operation, OperationContext, Parameters, operation_outcome
from terminology.operations.validate_code import validate_code

MAX_CODES = 1_000
SHARED = ("url", "valueSet", "displayLanguage", "lenient-display-validation", "tx-resource")


async def batch_validate_code(context: OperationContext) -> Json:
    """Return one answer for each code, in their order; what each call has in common is given once."""
    given = context.parameters.all("validation")
    if len(given) > MAX_CODES:
        raise InvalidRequest(f"A batch may have {MAX_CODES} codes; this has {len(given)}.", location="http.validation")
    shared = {name: context.parameters.all(name) for name in SHARED if context.parameters.all(name)}
    answers = [{"name": "validation", "resource": await _one(context, shared, row)} for row in given]
    return {"resourceType": "Parameters", "parameter": answers}


async def _one(context: OperationContext, shared: dict[str, Any], parameters: Json) -> Json:
    own: dict[str, list[Any]] = {}
    rows = parameters.get("parameter", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return operation_outcome(InvalidRequest("A validation is Parameters with a list of parameters.").issues)
    for row in rows:
        value = row.get("resource") or next((v for k, v in row.items() if k.startswith("value")), None)
        own.setdefault(str(row.get("name")), []).append(value)
    try:
        return await validate_code(replace(context, parameters=Parameters({**shared, **own})))
    except Failure as failure:
        return operation_outcome(failure.issues)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=batch_validate_code)
