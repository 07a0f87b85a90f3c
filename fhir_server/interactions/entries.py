"""The entries of a batch or transaction, read from the Bundle and answered in the response.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from fhir_server.api.errors import Failure, InvalidRequest
from fhir_server.api.ports import Answer
from fhir_server.fhir.bundles import response_entry
from fhir_server.fhir.dates import format_http_date, format_instant, parse_range
from fhir_server.fhir.json import decode, encode
from fhir_server.fhir.outcomes import Issue, operation_outcome
from fhir_server.interactions.request import Conditions, Request
from fhir_server.interactions.route import Route, route
from fhir_server.interactions.services import Call

Json = dict[str, Any]

WRITES = ("POST", "PUT", "PATCH")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Which status a failure or an answer has is known at the edge alone; it is handed in from there.
StatusOf = Callable[[Failure | Answer], str]
_PATCHES = {"application/json-patch+json", "application/merge-patch+json"}


@dataclass(slots=True)
class Entry:
    """One entry: where it stands, what it asks, and its fullUrl."""

    index: int
    full_url: str
    request: Request
    route: Route

    @property
    def expression(self) -> str:
        """The FHIRPath of the entry."""
        return f"Bundle.entry[{self.index}]"


def entry_of(call: Call, index: int, row: Any) -> Entry:
    """Read one entry. Raises InvalidRequest naming the element at fault."""
    where = f"Bundle.entry[{index}]"
    request = row.get("request") if isinstance(row, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise InvalidRequest("Every entry needs request.method and request.url.", expression=f"{where}.request")
    method = request.get("method")
    if method not in METHODS:
        raise InvalidRequest(
            f"request.method must be one of {', '.join(METHODS)}.", expression=f"{where}.request.method"
        )
    path, _, query = request["url"].removeprefix(call.base_url + "/").partition("?")
    segments = tuple(unquote(s) for s in path.strip("/").split("/") if s)
    body, content = row.get("resource"), "application/fhir+json"
    if method == "PATCH" and isinstance(body, dict) and body.get("resourceType") == "Binary":
        body, content = _binary_patch(body, where)
    if method in ("POST", "PUT", "PATCH") and body is None and segments[-1:] != ("_search",):
        raise InvalidRequest(f"A {method} entry needs its resource.", expression=f"{where}.resource")
    conditions = Conditions(
        if_match=_text(request, "ifMatch", where),
        if_none_match=_text(request, "ifNoneMatch", where),
        if_modified_since=_http_date(_text(request, "ifModifiedSince", where), where),
        if_none_exist=_text(request, "ifNoneExist", where),
    )
    made = Request(method, segments, parse_qsl(query, keep_blank_values=True), body, content, conditions)
    full_url = row.get("fullUrl") if isinstance(row.get("fullUrl"), str) else ""
    return Entry(index, full_url, made, resolved_route(call, made))


def _text(request: Json, name: str, where: str) -> str:
    """Return a condition of the entry; nobody has validated the Bundle."""
    value = request.get(name, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"request.{name} must be a string.", expression=f"{where}.request.{name}")
    return value


def _http_date(instant: str, where: str) -> str:
    """Return an entry's instant as the header has it."""
    if not instant:
        return ""
    try:
        return format_http_date(parse_range(instant)[0] // 1000)
    except ValueError:
        expression = f"{where}.request.ifModifiedSince"
        raise InvalidRequest("request.ifModifiedSince must be an instant.", expression=expression) from None


def resolved_route(call: Call, request: Request) -> Route:
    """Return the route of an entry; a Bundle inside a Bundle is refused."""
    found = route(request.method, request.path, call.services.definitions.resource_types)
    if found.interaction == "batch":
        raise InvalidRequest("A batch or transaction cannot contain another.")
    return found


def _binary_patch(body: Json, where: str) -> tuple[Any, str]:
    """Return the patch that a Binary carries. https://hl7.org/fhir/R4/http.html#jsonpatch"""
    try:
        patch = decode(b64decode(body.get("data", ""), validate=True))
    except (TypeError, ValueError):  # TypeError: the data is no text
        raise InvalidRequest("The Binary holds no patch.", expression=f"{where}.resource.data") from None
    content = str(body.get("contentType", "")).partition(";")[0].strip()
    return patch, content if content in _PATCHES else "application/json-patch+json"


def answered(answer: Answer, entry: Entry, status_of: StatusOf, call: Call) -> bytes:
    """Return the response entry of an interaction that went well, with as much as the client prefers.

    What is no resource goes into a Binary.
    """
    if answer.failure is not None:
        return failed(answer.failure, status_of)
    response: dict[str, object] = {"status": status_of(answer)}
    if answer.location:
        response["location"] = f"{call.base_url}/{answer.location}"
    if answer.version:
        response["etag"] = f'W/"{answer.version}"'
    if answer.updated:
        response["lastModified"] = format_instant(answer.updated)
    body = answer.body
    if answer.media_type:
        data = b64encode(body).decode()
        body = encode({"resourceType": "Binary", "contentType": answer.media_type, "data": data})
    returning = call.request.returning if answer.key and entry.request.method in WRITES else ""
    if returning == "OperationOutcome":
        response["outcome"] = outcome_of_write(answer)
    return response_entry(b"" if returning in ("minimal", "OperationOutcome") else body, response)


def outcome_of_write(answer: Answer) -> Json:
    """Return the OperationOutcome of a write that went well, with the advice about it."""
    text = f"{answer.key} is at version {answer.version}."
    return operation_outcome([Issue("informational", text, severity="information"), *answer.advice])


def failed(failure: Failure, status_of: StatusOf) -> bytes:
    """Return the response entry of an interaction that failed."""
    return response_entry(b"", {"status": status_of(failure), "outcome": operation_outcome(failure.issues)})


def at_entry(failure: Failure, entry_expression: str) -> Failure:
    """Return the failure of one entry as the failure of the whole transaction, naming the entry."""
    located = []
    for issue in failure.issues:
        inner = issue.expression
        if inner.startswith("Bundle.entry["):
            located.append(issue)
            continue
        path = f"{entry_expression}.resource{'.' + inner.partition('.')[2] if '.' in inner else ''}"
        located.append(replace(issue, expression=path if inner else entry_expression))
    failure.issues = tuple(located)
    return failure
