"""Failures and answers as HTTP: the only place that knows status codes. https://hl7.org/fhir/R4/http.html#summary"""

from __future__ import annotations

from fhir_server.api import errors
from fhir_server.api.errors import Failure
from fhir_server.api.ports import Answer
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import operation_outcome

FAILURES: dict[type[Failure], int] = {
    errors.Malformed: 400,
    errors.InvalidRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.NotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.Conflict: 409,
    errors.Duplicate: 409,
    errors.Deleted: 410,
    errors.PreconditionFailed: 412,
    errors.MultipleMatches: 412,
    errors.TooLarge: 413,
    errors.UnsupportedFormat: 415,
    errors.Unprocessable: 422,
    errors.BusinessRule: 422,
    errors.TooCostly: 422,
    errors.Throttled: 429,
    errors.NotSupported: 501,
    errors.Unavailable: 503,
}
ANSWERS = {"ok": 200, "created": 201, "accepted": 202, "deleted": 204, "no-content": 204, "not-modified": 304}
REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    409: "Conflict", 410: "Gone", 412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


def status_code(what: Failure | Answer) -> int:
    """Return the HTTP status of an answer or a failure."""
    if isinstance(what, Answer):
        return ANSWERS[what.kind] if what.failure is None else status_code(what.failure)
    return FAILURES.get(type(what), 500)


def status_line(what: Failure | Answer) -> str:
    """Return the status as Bundle.entry.response.status has it: `201 Created`."""
    code = status_code(what)
    return f"{code} {REASONS[code]}"


def outcome_of(failure: Failure) -> bytes:
    """Return the OperationOutcome of a failure."""
    return encode(operation_outcome(failure.issues))


def headers_of(failure: Failure) -> list[tuple[bytes, bytes]]:
    """Return the headers that belong to a failure."""
    if isinstance(failure, errors.NotAllowed):
        return [(b"allow", ", ".join(failure.allowed).encode())]
    if isinstance(failure, errors.Throttled | errors.Unavailable):
        return [(b"retry-after", str(failure.retry_after).encode())]
    if isinstance(failure, errors.Deleted):
        return [(b"etag", b'W/"%d"' % failure.version)]
    return [(b"www-authenticate", b"Bearer")] if isinstance(failure, errors.Unauthenticated) else []
