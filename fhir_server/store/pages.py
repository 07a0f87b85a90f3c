"""Pages of live resources that a criterion selects: in order, counted, or in outline. See filters.py for what is asked.

https://www.mongodb.com/docs/manual/core/aggregation-pipeline/
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from fhir_server.api.criteria import Order, Position
from fhir_server.api.records import Outline, Page
from fhir_server.store.documents import RESOURCES, SHOWN, Json, to_outline, to_stored
from fhir_server.store.driver import ordered
from fhir_server.store.filters import Asked, beyond, holds, to_filter, to_sort
from fhir_server.store.windows import Windows


class Find(Protocol):
    """Runs a plain query."""

    def __call__(
        self, collection: str, query: Json, projection: Json, limit: int, sort: Json | None = None
    ) -> Awaitable[list[Json]]:
        """Return up to `limit` documents."""
        ...


# A page stops behind the resource that makes it so long, whatever was asked for: it is held in memory as a whole.
PAGE_BYTES = 32 * 1024 * 1024
# Larger pages are read reply by reply (16 MB each) and no further than that; up to here one command is faster.
LARGE = 128

Aggregate = Callable[[list[Json], int], Awaitable[list[Json]]]
Stream = Callable[[Json | list[Json], Json, int, Json], AsyncGenerator[Json, None]]
Command = Callable[[Json], Awaitable[Json]]


class Pages:
    """The reading of one scope's resources by what they are found by."""

    def __init__(
        self,
        find: Find,
        aggregate: Aggregate,
        stream: Stream,
        command: Command,
        windows: Windows | None,
        database: str,
    ) -> None:
        self._find, self._aggregate, self._stream, self._command = find, aggregate, stream, command
        self._windows, self._database = windows, database

    async def page(self, asked: Asked, order: Order, limit: int, after: Position | None) -> Page:
        """Return the next `limit` resources in order after a position, or fewer where they are very large."""
        steps = beyond(order, after) if after is not None else [({}, to_sort(order))]
        found: list[Json] = []
        more = False
        for bounds, sort in steps:
            some, more = await self._checked(asked.bounded(bounds), sort, limit + 1 - len(found), order)
            found += some
            if more or len(found) > limit:
                break
        shown = found[:limit]
        fitting = _fitting(shown)
        return Page(tuple(map(to_stored, shown[:fitting])), more=more or fitting < len(found))

    async def _checked(self, asked: Asked, sort: Json, limit: int, order: Order) -> tuple[list[Json], bool]:
        """Return up to `limit` documents that pass the check, and whether it stopped for their size.

        Those that fail it are made up for.
        """
        check = asked.check
        if check is None:
            return await self._documents(asked, SHOWN, limit, sort)
        kept: list[Json] = []
        steps: list[tuple[Json, Json]] = [({}, sort)]
        while steps:
            bounds, sort = steps.pop(0)
            some, is_cut = await self._documents(asked.bounded(bounds), {**SHOWN, "s": 1}, limit, sort)
            kept += [d for d in some if holds(check, d)]
            if len(kept) >= limit or (kept and is_cut):
                return kept[:limit], is_cut
            if len(some) == limit or is_cut:
                last = to_stored(some[-1])
                value = last.moment if order.by == "moment" else last.updated
                steps = beyond(order, Position(value, last.key))
        return kept, False

    async def _documents(self, asked: Asked, projection: Json, limit: int, sort: Json) -> tuple[list[Json], bool]:
        windows = self._windows
        if windows is None or not asked.broad or sort.get("d") != -1:
            return await self._run(asked, projection, limit, sort)
        key = hash((self._database, repr(asked.lead["t"]), repr(asked.rest)))
        bounds = asked.lead.get("d", {})
        upper = bounds.get("$lt")
        for low in windows.lows(self._database, key, limit, upper):
            narrowed = asked if low is None else asked.bounded({"d": {"$gte": low}})
            found, is_cut = await self._run(narrowed, projection, limit, sort)
            is_last = low is None or low <= bounds.get("$gte", low - 1)
            is_full = is_cut or len(found) >= limit
            if is_full or is_last:
                if upper is None and (is_full or "$gte" not in bounds):
                    windows.learn(self._database, key, [int(d["d"]) for d in found], full=is_full)
                return found, is_cut
        raise AssertionError("the last window has no lower bound")

    async def _run(self, asked: Asked, projection: Json, limit: int, sort: Json) -> tuple[list[Json], bool]:
        if limit > LARGE:
            query = asked.stages() if asked.rest else asked.lead
            return await self._streamed(self._stream(query, projection, limit, sort))
        if not asked.rest:
            return await self._find(RESOURCES, asked.lead, projection, limit, sort), False
        return await self._aggregate(ordered(asked.stages(), projection, limit, sort), limit), False

    async def _streamed(self, given: AsyncGenerator[Json, None]) -> tuple[list[Json], bool]:
        """Return the documents that fit a page, and whether they are not all."""
        found: list[Json] = []
        weight = 0
        async with aclosing(given) as documents:
            async for document in documents:
                if weight > PAGE_BYTES:
                    return found, True
                found.append(document)
                weight += len(document["raw"])
        return found, False

    async def outlines(self, asked: Asked, limit: int, *, terms: bool, ranges: bool) -> list[Outline]:
        """Return up to `limit` resources without their bytes, in no order."""
        projection: Json = {"u": 1, "d": 1}
        if terms:
            projection["t"] = 1
        if ranges or asked.check is not None:
            projection["s"] = 1
        if asked.rest:
            found = await self._aggregate([*asked.stages(), {"$limit": limit}, {"$project": projection}], limit)
        else:
            found = await self._find(RESOURCES, asked.lead, projection, limit, {"d": -1, "_id": 1})
        check = asked.check
        return [to_outline(d) for d in found if check is None or holds(check, d)]

    async def count(self, asked: Asked, cap: int, *, in_transaction: bool) -> int:
        """Count resources; with a cap, count no further than that."""
        rest = (*asked.rest, *([to_filter(asked.check)] if asked.check is not None else ()))
        if not rest and not in_transaction:  # `count` is not allowed in a transaction
            command: Json = {"count": RESOURCES, "query": asked.lead}
            if cap:
                command["limit"] = cap
            return int((await self._command(command))["n"])
        steps: list[Any] = Asked(asked.lead, rest).stages()
        found = await self._aggregate([*steps, *([{"$limit": cap}] if cap else []), {"$count": "n"}], 1)
        return sum(int(row["n"]) for row in found)


def _fitting(documents: Sequence[Json]) -> int:
    """Return how many of the documents fit a page: all but those behind the one that makes it too long."""
    if sum(len(d["raw"]) for d in documents) <= PAGE_BYTES:
        return len(documents)
    weight = 0
    for place, document in enumerate(documents, 1):
        weight += len(document["raw"])
        if weight > PAGE_BYTES:
            return place
    return len(documents)
