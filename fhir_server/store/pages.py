"""Pages of live resources that a criterion selects: in order, counted, or in outline. See filters.py for what is asked.

https://www.mongodb.com/docs/manual/core/aggregation-pipeline/
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from fhir_server.api.criteria import Order, Position
from fhir_server.api.records import Outline, Page, Stored
from fhir_server.store.documents import RESOURCES, SHOWN, Json, to_outline, to_stored
from fhir_server.store.driver import ordered
from fhir_server.store.filters import SORT_FIELDS, Asked, beyond, holds, to_filter, to_sort
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

_NEWEST = Order("moment", descending=True)

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
            some, more = await self._checked(asked.bounded(bounds), SHOWN, sort, limit + 1 - len(found), order)
            found += some
            if more or len(found) > limit:
                break
        shown = found[:limit]
        fitting = _fitting(shown)
        return Page(tuple(map(to_stored, shown[:fitting])), more=more or fitting < len(found))

    async def _checked(
        self, asked: Asked, projection: Json, sort: Json, limit: int, order: Order
    ) -> tuple[list[Json], bool]:
        """Return up to `limit` documents that pass the check, and whether it stopped for their size.

        Those that fail it are made up for.
        """
        check = asked.check
        if check is None:
            return await self._documents(asked, projection, limit, sort)
        kept: list[Json] = []
        are_ties = next(iter(sort)) == "_id"  # what comes past them is another step of the page
        steps: list[tuple[Json, Json]] = [({}, sort)]
        while steps:
            bounds, sort = steps.pop(0)
            some, is_cut = await self._documents(asked.bounded(bounds), {**projection, "s": 1}, limit, sort)
            kept += [d for d in some if holds(check, d)]
            if len(kept) >= limit or (kept and is_cut):
                return kept[:limit], is_cut
            if len(some) == limit or is_cut:
                last = some[-1]
                value = int(last.get(SORT_FIELDS[order.by], 0)) if order.by != "key" else 0
                steps = beyond(order, Position(value, last["_id"]))[: 1 if are_ties else None]
        return kept, False

    async def _documents(self, asked: Asked, projection: Json, limit: int, sort: Json) -> tuple[list[Json], bool]:
        windows = self._windows
        if windows is None or not asked.broad or sort.get("d") != -1:
            return await self._run(asked, projection, limit, sort)
        key = self._key(asked)
        bounds = asked.lead.get("d", {})
        upper = bounds.get("$lt")
        for low in windows.lows(self._database, key, limit, upper):
            narrowed = asked if low is None else asked.bounded({"d": {"$gt": low - 1}})
            found, is_cut = await self._run(narrowed, projection, limit, sort)
            is_last = low is None or low <= bounds.get("$gt", low - 1)
            is_full = is_cut or len(found) >= limit
            if is_full or is_last:
                if upper is None and (is_full or "$gt" not in bounds):
                    windows.learn(self._database, key, [int(d["d"]) for d in found], full=is_full)
                return found, is_cut
        raise AssertionError("the last window has no lower bound")

    async def _run(self, asked: Asked, projection: Json, limit: int, sort: Json) -> tuple[list[Json], bool]:
        if limit > LARGE and "raw" in projection:
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
        """Return up to `limit` resources without their bytes."""
        projection: Json = {"u": 1, "d": 1}
        if terms:
            projection["t"] = 1
        if ranges:
            projection["s"] = 1
        found, _ = await self._checked(asked, projection, to_sort(_NEWEST), limit, _NEWEST)
        return list(map(to_outline, found))

    async def count(self, asked: Asked, cap: int, *, in_transaction: bool) -> int:
        """Count resources; with a cap, count no further than that."""
        if not cap or self._windows is None or not asked.broad:
            return await self._count(asked, cap, in_transaction=in_transaction)
        for low in self._windows.lows(self._database, self._key(asked), cap, None):
            narrowed = asked if low is None else asked.bounded({"d": {"$gt": low - 1}})
            number = await self._count(narrowed, cap, in_transaction=in_transaction)
            if number >= cap:
                break
        return number

    async def _count(self, asked: Asked, cap: int, *, in_transaction: bool) -> int:
        rest = (*asked.rest, *([to_filter(asked.check)] if asked.check is not None else ()))
        if not rest and not in_transaction:  # `count` is not allowed in a transaction
            command: Json = {"count": RESOURCES, "query": asked.lead}
            if cap:
                command["limit"] = cap
            return int((await self._command(command))["n"])
        steps: list[Any] = Asked(asked.lead, rest).stages()
        found = await self._aggregate([*steps, *([{"$limit": cap}] if cap else []), {"$count": "n"}], 1)
        return sum(int(row["n"]) for row in found)

    def _key(self, asked: Asked) -> int:
        """Return what the density of a criterion's matches is remembered by."""
        return hash((self._database, repr(asked.lead["t"]), repr(asked.rest)))


def page_of(records: Sequence[Stored], order: Order, limit: int, after: Position | None) -> Page:
    """Return the page of a few records that are all there are."""
    sign = -1 if order.descending else 1

    def place(record: Stored) -> tuple[int, str]:
        return (sign * (record.moment if order.by == "moment" else record.updated), record.key)

    if order.by == "key":
        rows = sorted(records, key=lambda r: r.key, reverse=order.descending)
        if after is not None:
            rows = [r for r in rows if (r.key < after.key if order.descending else r.key > after.key)]
    else:
        rows = sorted(records, key=place)
        if after is not None:
            rows = [r for r in rows if place(r) > (sign * after.value, after.key)]
    return Page(tuple(rows[:limit]), more=len(rows) > limit)


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
