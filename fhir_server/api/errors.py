"""Every way a request can fail: a closed set, each with the issue code of its OperationOutcome.

https://hl7.org/fhir/R4/valueset-issue-type.html. What status each becomes is the edge's business (http/errors.py).

    Failure
    ├── Malformed            structure          the bytes are not what the format says
    ├── InvalidRequest       invalid            a parameter, header or URL is wrong
    ├── Unprocessable        invalid            the resource breaks FHIR's rules or a profile's
    │   └── BusinessRule     business-rule      a precondition of the business is missing
    ├── NotFound             not-found
    ├── Deleted              deleted
    ├── NotAllowed           not-supported      the interaction does not exist on this URL
    ├── NotSupported         not-supported      FHIR has it, this server does not
    ├── NotAcceptable        not-supported      no format the client accepts
    ├── UnsupportedFormat    not-supported      a format the server does not read
    ├── Conflict             conflict           somebody was faster
    │   └── Duplicate        duplicate
    ├── PreconditionFailed   conflict           If-Match, If-None-Match or a condition did not hold
    │   └── MultipleMatches  multiple-matches   a condition holds for more than one resource
    ├── TooLarge             too-long
    ├── TooCostly            too-costly
    ├── Throttled            throttled
    ├── Unauthenticated      login
    ├── Forbidden            forbidden
    └── Unavailable          transient          a part the server needs does not answer
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.fhir.outcomes import Issue


class Failure(Exception):
    """A request that cannot be answered as asked. Carries one or more issues; the message is the first one's text.

    `expression` is the FHIRPath of the element at fault, `location` any other place (a header, a line, a parameter).
    """

    code = "processing"

    def __init__(
        self, diagnostics: str = "", *, expression: str = "", location: str = "", issues: Sequence[Issue] = ()
    ) -> None:
        self.issues: tuple[Issue, ...] = tuple(issues) or (
            Issue(self.code, diagnostics or type(self).__name__, expression, location=location),
        )
        super().__init__(self.issues[0].diagnostics)


class Malformed(Failure):
    """The bytes are not the JSON (or other format) they claim to be."""

    code = "structure"


class InvalidRequest(Failure):
    """A query parameter, header or URL is wrong."""

    code = "invalid"


class Unprocessable(Failure):
    """The content breaks a rule of FHIR or of a profile."""

    code = "invalid"


class BusinessRule(Unprocessable):
    """A precondition of the business is missing; the message cites the rule."""

    code = "business-rule"


class NotFound(Failure):
    """Nothing here, or nothing the caller may see."""

    code = "not-found"


class Deleted(Failure):
    """The resource was here and has been deleted."""

    code = "deleted"

    def __init__(self, diagnostics: str, *, version: int) -> None:
        super().__init__(diagnostics)
        self.version = version


class NotAllowed(Failure):
    """The interaction does not exist on this URL; `allowed` lists the HTTP methods that do."""

    code = "not-supported"

    def __init__(self, diagnostics: str, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(diagnostics)
        self.allowed = tuple(allowed)


class NotSupported(Failure):
    """FHIR describes it and this server does not do it."""

    code = "not-supported"


class NotAcceptable(Failure):
    """None of the formats the client accepts is available."""

    code = "not-supported"


class UnsupportedFormat(Failure):
    """The request's body is in a format the server does not read."""

    code = "not-supported"


class Conflict(Failure):
    """Another writer was faster, or the state does not allow it."""

    code = "conflict"


class Duplicate(Conflict):
    """It exists already."""

    code = "duplicate"


class PreconditionFailed(Failure):
    """If-Match, If-None-Match or another condition of the request did not hold."""

    code = "conflict"


class MultipleMatches(PreconditionFailed):
    """A conditional interaction's criteria match more than one resource."""

    code = "multiple-matches"


class TooLarge(Failure):
    """The body is larger than the server takes."""

    code = "too-long"


class TooCostly(Failure):
    """The answer would be larger than the server gives; the message names the way to narrow it."""

    code = "too-costly"


class Throttled(Failure):
    """Too many requests; `retry_after` is in seconds."""

    code = "throttled"

    def __init__(self, diagnostics: str, *, retry_after: int) -> None:
        super().__init__(diagnostics)
        self.retry_after = retry_after


class Unauthenticated(Failure):
    """No valid credentials."""

    code = "login"


class Forbidden(Failure):
    """Known caller, not allowed."""

    code = "forbidden"


class Unavailable(Failure):
    """A part the server needs does not answer; `retry_after` is in seconds."""

    code = "transient"

    def __init__(self, diagnostics: str, *, retry_after: int = 1) -> None:
        super().__init__(diagnostics)
        self.retry_after = retry_after
