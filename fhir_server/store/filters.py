"""Criteria as MongoDB filters; the one place where access is ANDed into what is asked.

https://www.mongodb.com/docs/manual/reference/operator/query/. Fields: see documents.py.
"""

from __future__ import annotations

from typing import Any

from fhir_server.api.criteria import (
    And,
    Checked,
    Criterion,
    Everything,
    Key,
    Moment,
    Not,
    Nothing,
    OfType,
    Or,
    Order,
    Position,
    Range,
    Term,
    Updated,
    all_of,
)
from fhir_server.api.tenant import Scope

Json = dict[str, Any]

LIVE: Json = {"x": {"$exists": False}}
SORT_FIELDS = {"moment": "d", "updated": "u", "key": "_id"}


def guarded(scope: Scope, where: Criterion) -> Json:
    """Return the filter of what is asked AND what the caller may see. Every query passes here."""
    return to_filter(all_of(where, scope.access.predicate))


def live(scope: Scope, where: Criterion) -> Json:
    """Return the guarded filter of live resources; deleted ones have no terms, so asking for one says it."""
    query = guarded(scope, where)
    return query if _asks_a_term(where) else {"$and": [query, LIVE]}


def _asks_a_term(where: Criterion) -> bool:
    if isinstance(where, And):
        return any(isinstance(c, (Term, Range)) for c in where.conditions)
    return isinstance(where, (Term, Range))


def to_filter(where: Criterion) -> Json:
    """Return the MongoDB filter of a criterion."""
    match where:
        case Everything():
            return {}
        case Nothing():
            return {"_id": {"$in": []}}
        case Term(any_of):
            return {"t": any_of[0] if len(any_of) == 1 else {"$in": list(any_of)}}
        case Range(low, high):
            return {"s": {"$elemMatch": {"$gte": low, "$lt": high}}}
        case Key(any_of):
            return {"_id": any_of[0] if len(any_of) == 1 else {"$in": list(any_of)}}
        case OfType(any_of):
            return {"y": any_of[0] if len(any_of) == 1 else {"$in": list(any_of)}}
        case Updated(low, high):
            return _interval("u", low, high)
        case Moment(low, high):
            return _interval("d", low, high)
        case And(conditions):
            return _together([to_filter(c) for c in conditions])
        case Or(conditions):
            return {"$or": [to_filter(c) for c in conditions]}
        case Not(condition):
            return {"$nor": [to_filter(condition)]}
        case Checked(condition):
            return to_filter(condition)


def _interval(field: str, low: int | None, high: int | None) -> Json:
    bounds: Json = {}
    if low is not None:
        bounds["$gte"] = low
    if high is not None:
        bounds["$lt"] = high
    return {field: bounds} if bounds else {}


def _together(filters: list[Json]) -> Json:
    """Merge filters on different fields into one document; a plain conjunction plans better than $and."""
    merged: Json = {}
    rest: list[Json] = []
    for one in filters:
        if one.keys() & merged.keys():
            rest.append(one)
        else:
            merged.update(one)
    if rest:
        return {"$and": [merged, *rest]}
    return merged


def to_sort(order: Order) -> Json:
    """Return the sort document; the key breaks ties."""
    field = SORT_FIELDS[order.by]
    direction = -1 if order.descending else 1
    return {"_id": direction} if field == "_id" else {field: direction, "_id": 1}


def beyond(order: Order, after: Position) -> list[tuple[Json, Json]]:
    """Return the (filter, sort) of each query that together give what comes after a position, in order.

    First the rest of those that tie with the position, then those past it: two walks of the index, where one query
    with an $or or a $nor would read every key of the term.
    """
    field = SORT_FIELDS[order.by]
    if field == "_id":
        return [({"_id": {"$lt" if order.descending else "$gt": after.key}}, to_sort(order))]
    past = "$lt" if order.descending else "$gt"
    return [
        ({field: after.value, "_id": {"$gt": after.key}}, {"_id": 1}),
        ({field: {past: after.value}}, to_sort(order)),
    ]


def together(query: Json, more: Json) -> Json:
    """Return the filter of both."""
    return {**query, **more} if not query.keys() & more.keys() else {"$and": [query, more]}


def split(where: Criterion) -> tuple[Criterion, Criterion | None]:
    """Return the part of a criterion to ask for and the part to check on each result, or None."""
    if not isinstance(where, And):
        return where, None
    checked = [c.condition for c in where.conditions if isinstance(c, Checked)]
    if not checked:
        return where, None
    return all_of(*(c for c in where.conditions if not isinstance(c, Checked))), all_of(*checked)


def holds(where: Criterion, document: Json) -> bool:
    """Whether a document meets a condition that Checked can hold."""
    match where:
        case And(conditions):
            return all(holds(c, document) for c in conditions)
        case Or(conditions):
            return any(holds(c, document) for c in conditions)
        case Not(condition):
            return not holds(condition, document)
        case Moment(low, high):
            moment = document.get("d", 0)
            return (low is None or moment >= low) and (high is None or moment < high)
        case Range(low_text, high_text):
            return any(low_text <= s < high_text for s in document.get("s", ()))
    raise ValueError(f"{type(where).__name__} cannot be checked on a result")
