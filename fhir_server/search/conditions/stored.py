"""What the store knows of a resource by itself: its id and its last change. https://hl7.org/fhir/R4/search.html#all"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api.criteria import Criterion, Key, Nothing, Updated, any_of
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.references import is_id
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.date import asked_date
from fhir_server.search.query import Filter, unescape


def ids(one: Filter) -> frozenset[str]:
    """Return the ids of an `_id` filter; raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    return frozenset(map(unescape, one.values))


def keys(types: Sequence[str], ids: frozenset[str]) -> Criterion:
    """Return the criterion of having one of the ids, in one of the types or (none) in any."""
    types = types or sorted(r4().resource_types)
    keys = tuple(f"{t}/{i}" for t in types for i in sorted(ids) if is_id(i))
    return Key(keys) if keys else Nothing()


def updated(one: Filter, value: str, now: int) -> Criterion:
    """Return the criterion of a time of the last change, which is a point."""
    ask = asked(one, asked_date, value)
    low, high = ask.near(now) if ask.prefix == "ap" else (ask.low, ask.high)
    bounds: dict[str, Criterion] = {
        "eq": Updated(low, high),
        "ap": Updated(low, high),
        "ne": any_of(Updated(None, low), Updated(high, None)),
        "gt": Updated(high, None),
        "sa": Updated(high, None),
        "ge": Updated(low, None),
        "lt": Updated(None, low),
        "eb": Updated(None, low),
        "le": Updated(None, high),
    }
    return bounds[ask.prefix]
