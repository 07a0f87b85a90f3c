"""What an operation is: an OperationDefinition, a handler for each level it can be called on, and what it may touch.

https://hl7.org/fhir/R4/operations.html. The kernel makes routes, parameter checks and `/metadata` from the declaration;
a handler returns a resource (as JSON or as its bytes), or a Job for what takes long, or raises a Failure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from fhir_server.api.conformance import ValidationPolicy
from fhir_server.api.criteria import Criterion
from fhir_server.api.errors import Failure, InvalidRequest
from fhir_server.api.packages import Packaging
from fhir_server.api.ports import Reading
from fhir_server.api.terminology import Library, Terminology
from fhir_server.fhir.dates import parse_range
from fhir_server.fhir.outcomes import Issue

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The input parameters of one call, checked against the definition: every value is of the declared type."""

    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def one(self, name: str) -> Any:
        """Return the parameter's value, or None where it was not given."""
        found = self.values.get(name)
        return found[0] if found else None

    def all(self, name: str) -> Sequence[Any]:
        """Return every value of the parameter."""
        return self.values.get(name, ())

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of a code or string parameter that may also be written `a,b`."""
        return tuple(part for value in self.all(name) for part in str(value).split(",") if part)

    def interval(self, name: str) -> tuple[int, int] | None:
        """Return [low, high) of a date, dateTime or instant in milliseconds, or None."""
        value = self.one(name)
        if value is None:
            return None
        try:
            return parse_range(str(value))
        except ValueError:
            raise InvalidRequest(f"{name} must be a date or an instant.", location=f"http.{name}") from None


class Server(Protocol):
    """What an operation may ask of the server it runs in, with the rights of its caller."""

    @property
    def base_url(self) -> str:
        """The URL of the FHIR API for this tenant."""
        ...

    @property
    def resource_types(self) -> frozenset[str]:
        """The names of the concrete resource types of FHIR R4."""
        ...

    @property
    def library(self) -> Library:
        """Where the value sets, code systems and other definitions are found that the tenant has."""
        ...

    @property
    def packages(self) -> Packaging:
        """What installs, lists and removes the packages of the tenant."""
        ...

    @property
    def terminology(self) -> Terminology:
        """The terminology service."""
        ...

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        ...

    def new_id(self) -> str:
        """Return a fresh logical id."""
        ...

    async def validate(
        self, resource: Json, *, references_open: bool = False, advice: bool = False, profiles: Sequence[str] = ()
    ) -> list[Issue]:
        """Return what is wrong with a resource, by FHIR, by the tenant's policy and by the profiles named here.

        `references_open` lets conditional references stand. With `advice` the warnings, which refuse no write, are
        looked for too. Raises Unprocessable for a profile in `profiles` that is not known or cannot be used.
        """
        ...

    @property
    def validation_policy(self) -> ValidationPolicy:
        """What the tenant's resources are held to when they are written."""
        ...

    async def set_validation_policy(self, policy: ValidationPolicy) -> None:
        """Put a policy in force. Raises Unprocessable for types and profiles that are not known."""
        ...

    def compartment(self, patient_id: str, types: Sequence[str] = ()) -> Criterion:
        """Return the criterion of one patient's compartment, the patient included, of some types or all."""
        ...

    def care_dates(self, low: int | None, high: int | None) -> Criterion:
        """Return the criterion of resources whose principal date touches [low, high), or which have none."""
        ...

    def references_of(self, raw: bytes) -> set[str]:
        """Return the local references (`Type/id`) in a stored resource, or in several joined by newlines."""
        ...

    async def criterion(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Criterion:
        """Return the criterion of a search."""
        ...

    async def search(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Json:
        """Return one page of a search as its Bundle, as a client gets it; what is not understood is refused."""
        ...

    def referred(self, resource_type: str, code: str, resource: Json) -> set[str]:
        """Return the local references (`Type/id`) that a resource has under a reference search parameter.

        Raises InvalidRequest when the type has no such parameter.
        """
        ...

    async def execute(self, bundle: Json) -> Json:
        """Run a batch or transaction and return the response Bundle. Raises Failure; then nothing was written."""
        ...

    async def put_all(self, resources: Sequence[Json]) -> list[Issue | None]:
        """Write each resource under its own id, many at a time; an issue stands where one was refused."""
        ...

    async def change_meta(self, key: str, change: Callable[[Json], Json]) -> Json:
        """Change the meta of a resource without the check of its content, and return the new meta."""
        ...

    async def reindex(self, key: str) -> Json:
        """Make anew what a resource is found by, and return as Parameters what that changed. Raises NotFound."""
        ...

    def open_source(self, url: str) -> AsyncGenerator[bytes, None]:
        """Return the content of a file to be imported, chunk by chunk and unpacked; close it after use.

        Raises InvalidRequest at once for a URL this server may not fetch, while reading for content that passes the
        limits, and Unavailable when the source does not answer.
        """
        ...

    def sign(self, fields: tuple[str | int, ...], *bound_to: str) -> str:
        """Return a cursor that only this server can have made."""
        ...

    def unsign(self, cursor: str, *bound_to: str) -> list[str | int]:
        """Return the fields of a cursor; raises InvalidRequest for any other text."""
        ...


@dataclass(frozen=True, slots=True)
class OperationContext:
    """One call of an operation: on what, with which parameters, and what it may touch.

    `body` is what was posted where that is no resource and the operation reads it itself: text, or decoded JSON.
    `languages` is what the client likes to read, as in the header Accept-Language.
    """

    resource_type: str
    resource_id: str
    parameters: Parameters
    records: Reading
    server: Server
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    languages: str = ""

    @property
    def key(self) -> str:
        """`Type/id` of the instance."""
        return f"{self.resource_type}/{self.resource_id}"


@dataclass(frozen=True, slots=True)
class Job:
    """The answer of an operation that takes long: the client gets 202 and a URL to poll.

    `kind` names a JobHandler; `input` is kept with the job, so that any worker can run it or take it up again.
    """

    kind: str
    input: Json


@dataclass(frozen=True, slots=True)
class Content:
    """The answer of an operation that gives no FHIR resource: bytes of another media type.

    With a `failure` they tell of it, and the status of the answer is that of the failure.
    """

    body: bytes
    media_type: str
    failure: Failure | None = None


Handler = Callable[[OperationContext], Awaitable[Json | bytes | Job | Content]]


class JobProgress(Protocol):
    """How a running job speaks to whoever watches it."""

    @property
    def checkpoint(self) -> Json:
        """What the last run saved; empty at the first."""
        ...

    async def save(self, checkpoint: Json, message: str) -> None:
        """Keep how far it is, so that another worker can go on from here. Raises JobCancelled when told to stop.

        That is a JobLost where another worker goes on instead.
        """
        ...


class JobCancelled(Exception):
    """Somebody asked the job to stop."""


class JobLost(JobCancelled):
    """Another worker has taken the job up, because this one was silent for too long: what was made is its to use."""


JobHandler = Callable[[OperationContext, Json, JobProgress], Awaitable[Json]]
# What a named query means in search parameters, given its own, what may be read, and the time in milliseconds.
NamedQuery = Callable[[Parameters, Reading, int], Awaitable[Sequence[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation, found by the entry point group `fhir_server.operations`.

    `definition` is its OperationDefinition as JSON. The handlers say on which levels it can be called; `jobs` run what
    its handlers hand over as Job, by kind. One that `reads_body` gets what is posted and is no resource as it came.
    A definition of the kind `query` has a `query` and no handlers: it is asked for by `_query` in a search, its
    parameters beside those of any search. https://hl7.org/fhir/R4/search.html#query
    """

    definition: Traversable
    system: Handler | None = None
    type: Handler | None = None
    instance: Handler | None = None
    jobs: Mapping[str, JobHandler] = field(default_factory=dict)
    reads_body: bool = False
    query: NamedQuery | None = None
