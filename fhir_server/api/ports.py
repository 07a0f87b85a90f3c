"""The ports: what the server needs of the world, as Protocols. An adapter is chosen where the server is composed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from fhir_server.api.criteria import Criterion, HistoryOf, Order, Position
from fhir_server.api.errors import Failure
from fhir_server.api.records import Draft, Outline, Page, Stored
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.fhir.outcomes import Issue

Json = dict[str, Any]


class Clock(Protocol):
    """The time."""

    def now(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        ...


class IdSource(Protocol):
    """New logical ids."""

    def new_id(self) -> str:
        """Return an id nobody has: at most 64 of A-Z a-z 0-9 - and . (https://hl7.org/fhir/R4/datatypes.html#id)."""
        ...


class Reading(Protocol):
    """What may be asked of the records of one scope, inside a transaction or out of it."""

    async def read(self, key: str) -> Stored | None:
        """Return the current version (maybe a deleted one), or None where there never was one or it is not visible."""
        ...

    async def read_many(self, keys: Sequence[str]) -> dict[str, Stored]:
        """Return the current versions that exist, by key."""
        ...

    async def vread(self, key: str, version: int) -> Stored | None:
        """Return one version, current or superseded."""
        ...

    async def search(self, where: Criterion, order: Order, limit: int, after: Position | None = None) -> Page:
        """Return the next `limit` live resources in order after a position. Never waits for a count."""
        ...

    async def outlines(
        self, where: Criterion, limit: int, *, terms: bool = False, ranges: bool = False
    ) -> list[Outline]:
        """Return up to `limit` live resources without their bytes, in no order, with terms or ranges where asked."""
        ...

    async def count(self, where: Criterion, cap: int = 0) -> int:
        """Count live resources; with a cap, count no further than that."""
        ...

    async def history(self, of: HistoryOf, limit: int, after: Position | None = None) -> Page:
        """Return the next `limit` versions, newest first."""
        ...


class Writing(Reading, Protocol):
    """What may be written. In a transaction everything happens at its commit or not at all."""

    async def current(self, keys: Sequence[str]) -> dict[str, Stored]:
        """Return the current versions with all that `replace` needs to move them to the history."""
        ...

    async def create(self, drafts: Sequence[Draft]) -> None:
        """Insert records that were never there. Raises Duplicate, and outside a transaction writes the others."""
        ...

    async def replace(self, changes: Sequence[tuple[Draft, Stored]]) -> bool:
        """Write each draft over the version it was made from, which moves to the history.

        False when one of them is no longer the current version; outside a transaction the others are written.
        """
        ...

    async def reserve(self, reservation: str, key: str, now: int) -> None:
        """Claim a conditional create's criteria for `key`, so that of many racing ones only one commits.

        Only in a transaction, beside a search for the criteria. Raises TransactionConflict when another claims them at
        the same time.
        """
        ...


class Store(Protocol):
    """Where resources live."""

    def records(self, scope: Scope) -> Writing:
        """Return the records of a scope; each single write is atomic by itself."""
        ...

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Writing]:
        """Open a transaction. Leaving it commits; an exception aborts. Raises TransactionConflict to be tried again."""
        ...

    async def tenant(self, name: str) -> Tenant | None:
        """Return a tenant by its name."""
        ...


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A long task as it is kept: what to do, how far it is, how it ended. Times in milliseconds since the epoch.

    `state` is queued, running, done, failed or cancelled.
    """

    id: str
    kind: str
    base_url: str
    input: Json
    state: str = "queued"
    checkpoint: Json = field(default_factory=dict)
    message: str = ""
    result: Json = field(default_factory=dict)
    attempts: int = 0


class Jobs(Protocol):
    """The durable queue of a tenant's jobs: a job is held by a lease, and taken up by another when that runs out."""

    async def add(self, tenant: Tenant, job: JobRecord, now: int) -> None:
        """Keep a new job."""
        ...

    async def get(self, tenant: Tenant, job_id: str) -> JobRecord | None:
        """Return a job."""
        ...

    async def claim(self, tenant: Tenant, owner: str, now: int, kind: str = "") -> JobRecord | None:
        """Take the oldest job, of one kind or any, that nobody holds, or whose holder has gone silent."""
        ...

    async def save(self, tenant: Tenant, job_id: str, owner: str, checkpoint: Json, message: str, now: int) -> bool:
        """Keep how far the job is and renew the lease; False when it was cancelled or is held by another."""
        ...

    async def finish(self, tenant: Tenant, job_id: str, owner: str, state: str, result: Json, now: int) -> None:
        """Write how the job ended."""
        ...

    async def cancel(self, tenant: Tenant, job_id: str, now: int) -> bool:
        """Stop a job that has not ended; False when it has."""
        ...


class TransactionConflict(Exception):
    """Two transactions touched the same record; nothing was written, and the caller starts again from the beginning."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an interaction gives back, free of HTTP: what happened, the bytes, and where they are.

    `kind` is one of ok, created, accepted, deleted, not-modified, no-content. A body that is no FHIR resource has a
    `media_type`; one that tells of a failure comes with it. `advice` are warnings about what was written.
    """

    kind: str
    body: bytes = b""
    key: str = ""
    version: int = 0
    updated: int = 0
    location: str = ""
    media_type: str = ""
    failure: Failure | None = None
    advice: tuple[Issue, ...] = ()
