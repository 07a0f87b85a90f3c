"""Criteria as MongoDB filters; the one place where access is ANDed into what is asked.

https://www.mongodb.com/docs/manual/reference/operator/query/. Fields: see documents.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fhir_server.api.criteria import (
    And,
    Checked,
    Containing,
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
    Present,
    Range,
    Term,
    Updated,
    all_of,
)
from fhir_server.api.tenant import Scope

Json = dict[str, Any]

LIVE: Json = {"x": {"$exists": False}}
SORT_FIELDS = {"moment": "d", "updated": "u", "key": "_id"}

_LEADING = (Key, Term, Range, OfType, Updated)


@dataclass(frozen=True, slots=True)
class Asked:
    """A criterion as the database is asked it: the condition an index is walked by, and what its matches must meet.

    They are two stages because SecantusDB scans the collection where a disjunction or a second term stands beside an
    indexed one (docs/adr/0003); MongoDB plans both stages as one filter. `check` is tested on the results here.
    """

    lead: Json
    rest: tuple[Json, ...] = ()
    check: Criterion | None = None
    broad: bool = False

    def stages(self) -> list[Json]:
        """Return the $match stages."""
        if not self.rest:
            return [{"$match": self.lead}]
        rest = self.rest[0] if len(self.rest) == 1 else {"$and": list(self.rest)}
        return [{"$match": self.lead}, {"$match": rest}]

    def bounded(self, more: Json) -> Asked:
        """Return the same within bounds on fields of the lead's index."""
        return Asked(tighten(self.lead, more), self.rest, self.check, self.broad)


def guarded(scope: Scope, where: Criterion) -> Json:
    """Return the filter of what is asked AND what the caller may see. Every query by key or version passes here."""
    return to_filter(all_of(where, scope.access.predicate))


def live(scope: Scope, where: Criterion) -> Asked:
    """Return what is asked AND what the caller may see, of live resources. Every search passes here.

    Deleted ones have no terms, so asking for one says it.
    """
    whole = all_of(where, scope.access.predicate)
    parts = whole.conditions if isinstance(whole, And) else (whole,)
    checks = [c.condition for c in parts if isinstance(c, Checked)]
    conditions: list[Criterion] = [c for c in parts if not isinstance(c, (Checked, Everything))]
    first: Criterion | None = next((c for c in conditions if isinstance(c, _LEADING)), None)
    if first is None and conditions:
        first = conditions[0]
    lead = to_filter(first) if first is not None else {}
    rest: list[Json] = []
    for one in conditions:
        if one is first:
            continue
        query = to_filter(one)
        if isinstance(one, (Moment, Updated)):
            lead = tighten(lead, query)
        elif _goes_along(one, first) and not query.keys() & lead.keys():
            lead = {**lead, **query}
        else:
            rest.append(query)
    if not any(isinstance(c, (Term, Range, Containing, Present)) for c in conditions):
        # SecantusDB walks the index of the field that is written first, and reads the whole type for another.
        lead = {"u": lead["u"], **lead, **LIVE} if "u" in lead else {**lead, **LIVE}
    broad = isinstance(first, Term) and first.broad
    return Asked(lead, tuple(rest), all_of(*checks) if checks else None, broad)


def _goes_along(one: Criterion, first: Criterion | None) -> bool:
    """Whether a condition can stand beside the leading one without keeping it from its index."""
    present = one.condition if isinstance(one, Not) else one
    return isinstance(present, Present) or (isinstance(one, Range) and isinstance(first, Term))


def to_filter(where: Criterion) -> Json:
    """Return the MongoDB filter of a criterion."""
    match where:
        case Everything():
            return {}
        case Nothing():
            return {"_id": {"$in": []}}
        case Term(any_of, _):
            return {"t": any_of[0] if len(any_of) == 1 else {"$in": list(any_of)}}
        case Range(low, high):
            return {"s": {"$elemMatch": {"$gte": low, "$lt": high}}}
        case Containing(prefix, text):
            return {"s": {"$regex": f"^{re.escape(prefix)}.*{re.escape(text)}", "$options": "s"}}
        case Present(code):
            return {"p": code}
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
        case Not(Term(any_of, _)):
            return {"t": {"$nin": list(any_of)}}
        case Not(Present(code)):
            return {"p": {"$ne": code}}
        case Not(Key(any_of)):
            return {"_id": {"$nin": list(any_of)}}
        case Not(condition):
            return {"$nor": [to_filter(condition)]}
        case Checked(condition):
            return to_filter(condition)


def _interval(field: str, low: int | None, high: int | None) -> Json:
    bounds: Json = {}
    if low is not None:
        bounds["$gt"] = low - 1  # secantusd-py leaves out the bound itself in $gte on a descending field
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


def tighten(query: Json, more: Json) -> Json:
    """Return a filter with further bounds on its fields. A lower bound comes first: SecantusDB uses only one."""
    made = dict(query)
    for field, bounds in more.items():
        old = made.get(field)
        if not isinstance(old, dict) or not isinstance(bounds, dict):
            made[field] = bounds
            continue
        low = max((b["$gt"] for b in (old, bounds) if "$gt" in b), default=None)
        high = min((b["$lt"] for b in (old, bounds) if "$lt" in b), default=None)
        made[field] = {
            **({"$gt": low} if low is not None else {}),
            **({"$lt": high} if high is not None else {}),
            **{k: v for b in (old, bounds) for k, v in b.items() if k not in ("$gt", "$lt")},
        }
    return made


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
