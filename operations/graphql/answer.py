"""The answer: data, or errors with an OperationOutcome each. https://hl7.org/fhir/R4/graphql.html#errors"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api import Content, Failure, Json, encode, operation_outcome
from operations.graphql.refusals import Place

MEDIA_TYPE = "application/json; charset=utf-8"


def answer(data: Json) -> Content:
    """Return the answer of a query that went well."""
    return Content(encode({"data": data}), MEDIA_TYPE)


def refusal(failure: Failure, places: Sequence[Place] = ()) -> Content:
    """Return the answer to a query that is not answered, with one error for each issue."""
    errors: list[Json] = []
    for issue in failure.issues:
        error: Json = {"message": issue.diagnostics}
        if places:
            error["locations"] = [{"line": line, "column": column} for line, column in places]
        error["extensions"] = {"resource": operation_outcome([issue])}
        errors.append(error)
    return Content(encode({"data": None, "errors": errors}), MEDIA_TYPE, failure)
