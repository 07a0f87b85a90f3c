"""What is asked of the store so that each tenant can have search parameters of its own. No plugin sees these ports.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from fhir_server.api.records import Draft, Index, Stored
from fhir_server.api.tenant import Tenant

Json = dict[str, Any]


class Announcement(msgspec.Struct, frozen=True):
    """A write of SearchParameters that was begun, in milliseconds since the epoch, and has not come into force yet."""

    token: str
    at: int


class ParameterSet(msgspec.Struct, frozen=True):
    """A tenant's own search parameters as they are kept. Every change of them is a generation; none ever is the 0th."""

    generation: int = 0
    rows: tuple[Json, ...] = ()
    announced: tuple[Announcement, ...] = ()


class ParameterSets(Protocol):
    """Where the set of each tenant is kept; every step is atomic."""

    async def read(self, tenant: Tenant) -> ParameterSet:
        """Return the set in force."""
        ...

    async def news(self, tenant: Tenant, generation: int) -> ParameterSet | None:
        """Return the set when it is of another generation or something is announced, else None: cheap to ask often."""
        ...

    async def announce(self, tenant: Tenant, announcements: Sequence[Announcement]) -> None:
        """Say that SearchParameters are about to be written, so that the set follows even if this process dies."""
        ...

    async def change(self, tenant: Tenant, generation: int, rows: Sequence[Json]) -> bool:
        """Put the next generation in force; False when the given one is not the current one any more."""
        ...

    async def settle(self, tenant: Tenant, tokens: Sequence[str]) -> None:
        """Take back announcements: the set has followed."""
        ...


class Indexed(msgspec.Struct, frozen=True):
    """A live resource with what it is found by now, and the generation of the set it was indexed with."""

    record: Stored
    index: Index
    generation: int = 0


class Reindexing(Protocol):
    """The resources of a tenant as reindexing sees them: only what they are found by is ever changed."""

    async def keys(
        self, tenant: Tenant, resource_type: str, after: str, limit: int, since: int | None = None
    ) -> list[str]:
        """Return the next keys of a type after one, in their order, deleted ones among them.

        Only of those last updated `since` a time (ms), where that is given.
        """
        ...

    async def read(self, tenant: Tenant, keys: Sequence[str], below: int | None = None) -> list[Indexed]:
        """Return the live ones of these resources; with `below` only those indexed with an older generation."""
        ...

    async def rewrite(self, tenant: Tenant, changes: Sequence[tuple[Indexed, Draft]]) -> int:
        """Replace what resources are found by as they were read, and return how many were: the others have changed."""
        ...


class WriteObserver(Protocol):
    """Asked before a write and told after it, on every path: single writes, Bundles, operations, imports, deletions."""

    async def before_write(self, tenant: Tenant, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Return the drafts to be written, indexed with the parameters in force."""
        ...

    async def before_commit(self, tenant: Tenant, drafts: Sequence[Draft]) -> None:
        """Raise TransactionConflict when a transaction's drafts are not to be committed as they were written."""
        ...

    async def after_commit(self, tenant: Tenant, drafts: Sequence[Draft]) -> None:
        """Hear of what was, or may have been, written. Never raises: the write has happened."""
        ...
