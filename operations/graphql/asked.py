"""What a client sends: the query, which of its operations, and the values of its variables, in any of three ways.

https://graphql.org/learn/serving-over-http/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhir_server.api import InvalidRequest, Json, JsonError, Malformed, OperationContext, decode


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as it came."""

    query: str
    operation: str = ""
    variables: Json = field(default_factory=dict)


def read_asked(context: OperationContext) -> Asked:
    """Return what is asked; of body and URL the body counts. Raises InvalidRequest and Malformed."""
    body = context.body
    if isinstance(body, str):
        given: Json = {"query": body}
    elif body is None or isinstance(body, dict):
        given = body or {}
    else:
        raise InvalidRequest("The body must be one JSON object with the member query; several at once are not run.")
    query = _text(context, given, "query")
    if not query:
        raise InvalidRequest(
            "Send the query as the parameter query, as the member query of application/json, or as application/graphql."
        )
    return Asked(query, _text(context, given, "operationName"), _variables(context, given))


def _text(context: OperationContext, given: Json, name: str) -> str:
    value = given.get(name)
    if value is None:
        value = context.parameters.one(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text.")
    return value or ""


def _variables(context: OperationContext, given: Json) -> Json:
    value: Any = given.get("variables")
    if value is None:
        text = context.parameters.one("variables")
        try:
            value = decode(text.encode()) if text else {}
        except JsonError as error:
            raise Malformed(f"variables is not acceptable JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("variables must be a JSON object.")
    return value
