"""Orders no index gives: by any parameter and by several, made here from the matching resources.

https://hl7.org/fhir/R4/search.html#sort. Bounded: more matches than MAX_SORTED are refused, never sorted in part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.api.criteria import Criterion, Order, Position
from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.query import SearchQuery
from fhir_server.search.terms import LAST, fold, ordered_number, ordered_time
from fhir_server.search.values import numbers, quantities, texts, times, tokens

MAX_SORTED = 10_000
_BATCH = 1000

Fields = tuple[str | int, ...]


async def sorted_page(
    parameters: Parameters,
    records: Reading,
    where: Criterion,
    query: SearchQuery,
    size: int,
    after: list[str | int] | None,
) -> tuple[list[Stored], bool, Fields]:
    """Return a page in the query's order, whether more follow, and the fields of its last entry for the cursor.

    Resources without a value come last in either direction.
    """
    rows = [(_key(parameters, query, r), r) for r in await _all(records, where)]
    rows.sort(key=_at(-1))
    for place in reversed(range(len(query.sort))):
        descending = query.sort[place][1]
        with_value = [row for row in rows if row[0][place] != LAST]
        without = [row for row in rows if row[0][place] == LAST]
        with_value.sort(key=_at(place), reverse=descending)
        rows = with_value + without
    start = 0
    if after is not None:
        start = next((i + 1 for i, row in enumerate(rows) if list(row[0]) == after), None) or _resume(rows, after)
    page = rows[start : start + size]
    return [r for _, r in page], len(rows) > start + size, page[-1][0] if page else ()


def _at(place: int) -> Callable[[tuple[Fields, Stored]], str | int]:
    """Return the sort key of one place of the rows' fields."""
    return lambda row: row[0][place]


def _resume(rows: list[tuple[Fields, Stored]], after: list[str | int]) -> int:
    """Return where to go on when the last entry shown is gone or changed: after its old key, as near as can be."""
    return next((i for i, row in enumerate(rows) if list(row[0]) > after), len(rows))


async def _all(records: Reading, where: Criterion) -> list[Stored]:
    found: list[Stored] = []
    after: Position | None = None
    while True:
        page = await records.search(where, Order("key", descending=False), _BATCH, after)
        found += page.records
        if len(found) > MAX_SORTED:
            raise TooCostly(
                f"More than {MAX_SORTED} resources match, too many for this _sort. Narrow the search.",
                location="http._sort",
            )
        if not page.more or not page.records:
            return found
        after = Position(0, found[-1].key)


def _key(parameters: Parameters, query: SearchQuery, record: Stored) -> Fields:
    resource = decode_stored(record.raw)
    of_type = parameters.of(record.type)
    values: list[str | int] = []
    for code, descending in query.sort:
        if code == "_lastUpdated":
            values.append(ordered_time(record.updated))
        elif code == "_id":
            values.append(record.id)
        else:
            found = sorted(_texts(of_type[code], resource))
            values.append((found[-1] if descending else found[0]) if found else LAST)
    return (*values, record.key)


def _texts(parameter: Parameter, resource: dict[str, Any]) -> list[str]:
    """Return the values of a parameter as texts that sort as its type does."""
    if not parameter.expression:
        return []
    found: list[str] = []
    for node in parameter.path.evaluate(resource):
        value, kind = node.value, node.type
        match parameter.type:
            case "token":
                found += [f"{code.casefold()}\x1f{system}" for system, code in tokens(value, kind)]
            case "string":
                found += [fold(t) for t in texts(value, kind)]
            case "date":
                found += [ordered_time(low) for low, _ in times(value, kind)]
            case "number":
                found += [ordered_number(n) for n in numbers(value)]
            case "quantity":
                found += [ordered_number(n) for n, _, _ in quantities(value, kind)]
            case "reference" if isinstance(value, dict):
                found += [value["reference"]] if isinstance(value.get("reference"), str) else []
            case _ if isinstance(value, str):
                found.append(value)
    return found
