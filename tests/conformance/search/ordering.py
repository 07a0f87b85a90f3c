"""The order of results and what comes with them: `_sort`, the default order, `_include` and `_revinclude`.

https://hl7.org/fhir/R4/search.html#sort, #include. R4 leaves the order without `_sort` to the server. Ours: the
principal date of the type, latest end first, those without one last, then the key. It also leaves open by which end a
period sorts. Ours: by the one that comes first in the asked order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.conformance.search.defined import parameters
from tests.conformance.search.elements import (
    Json,
    Place,
    codes,
    fold,
    key_of,
    numbers,
    quantities,
    texts,
    time_of,
    times,
)

if TYPE_CHECKING:
    from tests.conformance.search.oracle import Oracle

# The first of these that a type has as a date parameter is its principal date; a decision, not of the specification.
PRINCIPAL = [
    "date",
    "period",
    "authored",
    "authoredon",
    "authored-on",
    "effective-time",
    "effective",
    "whenhandedover",
    "started",
    "start",
    "start-date",
    "onset-date",
    "sent",
    "created",
    "recorded",
    "issued",
    "collected",
    "birthdate",
]
END_OF_TIME = time_of("9999-12-31")[1]
BEGINNING = time_of("0001-01-01")[0]


def principal_date(resource_type: str) -> str:
    """Return the code of the type's principal date, or ''."""
    own = parameters(resource_type)
    first = ["authoredon"] if resource_type == "MedicationRequest" else []
    return next((c for c in first + PRINCIPAL if c in own and own[c].type == "date"), "")


def moment(oracle: Oracle, resource: Json) -> float:
    """Return the latest end among the values of the principal date; before all time where there is none."""
    code = principal_date(resource["resourceType"])
    ends = [end for node in oracle.nodes(Place(resource, resource), code) for _, end in times(node)] if code else []
    return min(max(ends), END_OF_TIME) if ends else -inf


def ordered(oracle: Oracle, found: Sequence[Json], sort: str) -> list[Json]:
    """Return resources in the order of `_sort`, those without a value last whichever way; the key breaks ties."""
    rows = sorted(found, key=key_of)
    if not sort:
        return sorted(rows, key=lambda r: -moment(oracle, r))
    for rule in reversed(sort.split(",")):
        descending, code = rule.startswith("-"), rule.removeprefix("-")
        values = {key_of(r): _sort_values(oracle, r, code, descending=descending) for r in rows}
        pick = max if descending else min
        having = [r for r in rows if values[key_of(r)]]
        having.sort(key=lambda r: pick(values[key_of(r)]), reverse=descending)
        rows = having + [r for r in rows if not values[key_of(r)]]
    return rows


def _sort_values(oracle: Oracle, resource: Json, code: str, *, descending: bool) -> list[Any]:
    """Return what a resource is sorted by; of several values the one that comes first in the asked order counts."""
    if code == "_id":
        return [key_of(resource)]
    nodes = oracle.nodes(Place(resource, resource), code)
    match parameters(resource["resourceType"])[code].type:
        case "date":
            spans = [span for n in nodes for span in times(n)]
            return [min(high, END_OF_TIME) if descending else max(low, BEGINNING) for low, high in spans]
        case "number":
            return [low if low != -inf else high for n in nodes for low, high in numbers(n)]
        case "quantity":
            return [q.low if q.low != -inf else q.high for n in nodes for q in quantities(n)]
        case "string":
            return [fold(t) for n in nodes for t in texts(n)]
        case "token":
            return [(c.code.casefold(), c.system) for n in nodes for c in codes(n) if c.code]
        case "reference":
            return [n.value["reference"] for n in nodes if isinstance(n.value, dict) and "reference" in n.value]
        case _:
            return [n.value for n in nodes if isinstance(n.value, str)]


def included(oracle: Oracle, page: Iterable[str], url: str) -> set[str]:
    """Return the keys of what a page of matches comes with, none of the page itself.

    https://hl7.org/fhir/R4/search.html#include: with `:iterate` also from what was included, until nothing is new.
    """
    pairs = parse_qsl(url.partition("?")[2], keep_blank_values=True)
    joins = [(n, v) for n, v in pairs if n.partition(":")[0] in ("_include", "_revinclude")]
    matches = set(page)
    found = {k for one in matches for n, v in joins for k in _joined(oracle, one, n, v)}
    again = [(n, v) for n, v in joins if n.endswith((":iterate", ":recurse"))]
    new = found - matches
    seen = matches | found
    while new:
        new = {k for one in new for n, v in again for k in _joined(oracle, one, n, v)} - seen
        seen |= new
        found |= new
    return found - matches


def _joined(oracle: Oracle, key: str, name: str, value: str) -> set[str]:
    """Return the keys that one resource is joined to by one `_include` or `_revinclude`."""
    source, code, target = [*value.split(":"), "", ""][:3]
    asked = [code] if code != "*" else [c for c, p in parameters(source).items() if p.type == "reference"]
    if name.startswith("_include"):
        if not key.startswith(source + "/"):
            return set()
        return {k for c in asked for k in _links(oracle, key, c) if target in ("", k.partition("/")[0])}
    if target not in ("", key.partition("/")[0]):
        return set()
    sources = (k for k in oracle.resources if k.startswith(source + "/"))
    return {k for k in sources if any(key in _links(oracle, k, c) for c in asked)}


def _links(oracle: Oracle, key: str, code: str) -> set[str]:
    place = Place(oracle.resources[key], oracle.resources[key])
    return {named for node in oracle.nodes(place, code) for named in oracle.named(node)}
