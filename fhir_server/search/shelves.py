"""What was found of a tenant's definitions, until its count of changes moves on. See api.conformance.

A code is checked with a value set and its code systems, which seldom change: to ask whether they did takes one short
command, to find them anew one for each and more. The count is raised after a change can be read and before its author
has an answer; so nothing that was found under a count is older than it. Where a process dies between the two,
what is remembered lasts a few seconds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from fhir_server.api.conformance import ConformanceStates
from fhir_server.api.tenant import Tenant

MAX_BYTES = 8_000_000  # of all tenants
MAX_AGE = 10.0  # seconds

_Key = tuple[str, str, str]  # database, resource type, URL


class Shelf:
    """What is known of one tenant under one count."""

    def __init__(self, shelves: Shelves, database: str, generation: int, born: float) -> None:
        self.database, self.generation, self.born = database, generation, born
        self._shelves = shelves

    def get(self, resource_type: str, url: str) -> Sequence[bytes] | None:
        """Return what was found for a URL, or None where nobody has looked."""
        return self._shelves.recall(self, (self.database, resource_type, url))

    def put(self, resource_type: str, url: str, found: Sequence[bytes]) -> None:
        """Remember what was found."""
        self._shelves.remember(self, (self.database, resource_type, url), found)


class Glance:
    """The shelf of one call: whether definitions have changed is asked once, when the first of them is wanted."""

    def __init__(self, shelves: Shelves, tenant: Tenant) -> None:
        self._shelves = shelves
        self._tenant = tenant
        self._shelf: Shelf | None = None

    async def __call__(self) -> Shelf:
        """Return what is known under the count as it was at the first look."""
        if self._shelf is None:
            self._shelf = await self._shelves.of(self._tenant)
        return self._shelf


class Shelves:
    """What is known of all tenants in this process."""

    def __init__(self, states: ConformanceStates, seconds: Callable[[], float] = time.monotonic) -> None:
        self._states = states
        self._seconds = seconds
        self._known: OrderedDict[_Key, tuple[Shelf, Sequence[bytes]]] = OrderedDict()
        self._current: dict[str, Shelf] = {}
        self._bytes = 0

    async def of(self, tenant: Tenant) -> Shelf:
        """Return what is known under the count as it is now."""
        shelf = self._current.get(tenant.database)
        generation = -1 if shelf is None else shelf.generation
        news = await self._states.news(tenant, generation)
        if news is None and shelf is not None and self._seconds() - shelf.born < MAX_AGE:
            return shelf
        if news is not None:
            generation = news.generation
        made = Shelf(self, tenant.database, generation, self._seconds())
        if self._current.get(tenant.database) is shelf:
            self._current[tenant.database] = made
        return made

    def recall(self, shelf: Shelf, key: _Key) -> Sequence[bytes] | None:
        """Return what was found under this shelf's count; what is of another is forgotten."""
        found = self._known.get(key)
        if found is None:
            return None
        if found[0] is not shelf:
            return None
        self._known.move_to_end(key)
        return found[1]

    def remember(self, shelf: Shelf, key: _Key, found: Sequence[bytes]) -> None:
        """Keep what was found, and let go of what was not asked for longest."""
        self._forget(self._known.pop(key, None))
        self._known[key] = (shelf, found)
        self._bytes += _size(found)
        while self._bytes > MAX_BYTES:
            self._forget(self._known.popitem(last=False)[1])

    def _forget(self, row: tuple[Shelf, Sequence[bytes]] | None) -> None:
        if row is not None:
            self._bytes -= _size(row[1])


def _size(found: Sequence[bytes]) -> int:
    return 500 + sum(map(len, found))
