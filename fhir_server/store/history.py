"""History: the current versions and the superseded ones, merged newest first. https://hl7.org/fhir/R4/http.html#history

A version may lie in both collections for a moment, or for ever after a crash between the two writes of an update; the
merge shows it once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fhir_server.api.criteria import HistoryOf, Position
from fhir_server.api.records import Page, Stored
from fhir_server.store.documents import HISTORY, HISTORY_PROJECTION, PROJECTION, RESOURCES, Json, to_stored

Find = Callable[..., Awaitable[list[Json]]]


async def read_history(find: Find, seen: Json, of: HistoryOf, limit: int, after: Position | None) -> Page:
    """Return the next `limit` versions after a position, newest first.

    `find` runs a query on a collection, `seen` is the filter of what the caller may see.
    """
    current = await find(
        RESOURCES,
        _conjunction(seen, _scope_of(of, "_id"), _times(of, superseded=False), _after(after, "_id")),
        PROJECTION,
        limit + 2,
        {"u": -1, "_id": 1},
    )
    superseded = await find(
        HISTORY,
        _conjunction(seen, _scope_of(of, "r"), _times(of, superseded=True), _after(after, "r")),
        HISTORY_PROJECTION,
        limit + 2,
        {"u": -1, "r": 1, "v": -1},
    )
    merged = {(r.key, r.version): r for r in map(to_stored, [*superseded, *current])}
    records = sorted(merged.values(), key=_newest_first)
    return Page(tuple(records[:limit]), more=len(records) > limit)


def _newest_first(record: Stored) -> tuple[int, str, int]:
    return (-record.updated, record.key, -record.version)


def _scope_of(of: HistoryOf, key_field: str) -> Json:
    if of.key:
        return {key_field: of.key}
    return {"y": of.type} if of.type else {}


def _times(of: HistoryOf, *, superseded: bool) -> Json:
    bounds: Json = {}
    if of.since is not None:
        bounds["u"] = {"$gte": of.since}
    if of.at is not None:
        low, high = of.at
        bounds.setdefault("u", {})["$lt"] = high
        if superseded:
            bounds["e"] = {"$gt": low}
    return bounds


def _after(after: Position | None, key_field: str) -> Json:
    if after is None:
        return {}
    ties: list[Json] = [
        {"u": after.value, key_field: {"$lt": after.key}},
        {"u": after.value, key_field: after.key, "v": {"$gte": after.version}},
    ]
    return {"$and": [{"u": {"$lte": after.value}}, {"$nor": ties}]}


def _conjunction(*filters: Json) -> Json:
    parts = [f for f in filters if f]
    return {"$and": parts} if len(parts) > 1 else (parts[0] if parts else {})
