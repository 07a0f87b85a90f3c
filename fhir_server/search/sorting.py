"""Orders no index gives: by any parameter and by several, made here from all that match.

https://hl7.org/fhir/R4/search.html#sort. Bounded: more matches than can be sorted are refused, never sorted in part.
Where the index has the values, the resources themselves are not read but for the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Outline, Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.plan import Plan
from fhir_server.search.query import SearchQuery
from fhir_server.search.terms import LAST, SEPARATOR, fold, ordered_number, ordered_time, range_prefix
from fhir_server.search.values import numbers, quantities, texts, times, tokens
from fhir_server.search.walking import all_of_plan

MAX_SORTED = 10_000
MAX_SORTED_BY_INDEX = 100_000
_ORDERED = frozenset({"string", "date", "number", "quantity"})

# The values of a resource in the query's order, and its key at the end.
Fields = tuple[str, ...]


async def sorted_page(
    parameters: Parameters,
    records: Reading,
    plan: Plan,
    query: SearchQuery,
    size: int,
    after: list[str | int] | None,
) -> tuple[list[Stored], bool, Fields]:
    """Return a page in the query's order, whether more follow, and the fields of its last entry for the cursor.

    Resources without a value come last in either direction; ties go by the key. Raises TooCostly.
    """
    rows = await _rows(parameters, records, plan, query)
    rows.sort(key=lambda row: row[-1])
    for place in reversed(range(len(query.sort))):
        with_value = [row for row in rows if row[place] != LAST]
        without = [row for row in rows if row[place] == LAST]
        with_value.sort(key=_at(place), reverse=query.sort[place][1])
        rows = with_value + without
    start = 0
    if after is not None:
        start = next((i + 1 for i, row in enumerate(rows) if list(row) == after), None) or _resume(rows, query, after)
    page = rows[start : start + size]
    found = await records.read_many([row[-1] for row in page])
    kept = [found[row[-1]] for row in page if row[-1] in found and not found[row[-1]].deleted]
    return kept, len(rows) > start + size, page[-1] if page else ()


def _at(place: int) -> Callable[[Fields], str]:
    """Return the sort key of one place of the rows' fields."""
    return lambda row: row[place]


def _resume(rows: Sequence[Fields], query: SearchQuery, after: list[str | int]) -> int:
    """Return where to go on when the last entry shown is gone or changed: before the first row that comes after it."""
    return next((i for i, row in enumerate(rows) if _comes_after(row, query, after)), len(rows))


def _comes_after(row: Fields, query: SearchQuery, after: list[str | int]) -> bool:
    for (_, descending), value, shown in zip(query.sort, row, after, strict=False):
        if value != shown:
            if LAST in (value, shown):
                return value == LAST
            return (value < str(shown)) if descending else (value > str(shown))
    return row[-1] > str(after[-1])


async def _rows(parameters: Parameters, records: Reading, plan: Plan, query: SearchQuery) -> list[Fields]:
    if plan.test is None and all(_in_index(parameters, query, code) for code, _ in query.sort):
        outlines = await records.outlines(plan.where, MAX_SORTED_BY_INDEX + 1, ranges=True)
        _refuse_more(len(outlines), MAX_SORTED_BY_INDEX)
        return [_indexed_fields(parameters, query, o) for o in outlines]
    found = await all_of_plan(records, plan, MAX_SORTED)
    _refuse_more(len(found), MAX_SORTED)
    return [_fields(parameters, query, r) for r in found]


def _refuse_more(number: int, most: int) -> None:
    if number > most:
        raise TooCostly(
            f"More than {most} resources match, too many for this _sort. Narrow the search.", location="http._sort"
        )


def _in_index(parameters: Parameters, query: SearchQuery, code: str) -> bool:
    return code in ("_id", "_lastUpdated") or all(
        code in parameters.of(t) and parameters.of(t)[code].type in _ORDERED for t in query.types or ("Resource",)
    )


def _indexed_fields(parameters: Parameters, query: SearchQuery, outline: Outline) -> Fields:
    of_type = parameters.of(outline.key.partition("/")[0])
    values = []
    for code, descending in query.sort:
        if code == "_lastUpdated":
            values.append(ordered_time(outline.updated))
        elif code == "_id":
            values.append(outline.key.partition("/")[2])
        else:
            parameter = of_type[code]
            end = SEPARATOR + ("high" if descending else "low") if parameter.type == "date" else ""
            name = parameter.index_name + end
            prefix = range_prefix(name)
            found = [s[len(prefix) :] for s in outline.ranges if s.startswith(prefix)]
            values.append((max(found) if descending else min(found)) if found else LAST)
    return (*values, outline.key)


def _fields(parameters: Parameters, query: SearchQuery, record: Stored) -> Fields:
    resource = decode_stored(record.raw)
    of_type = parameters.of(record.type)
    values = []
    for code, descending in query.sort:
        if code == "_lastUpdated":
            values.append(ordered_time(record.updated))
        elif code == "_id":
            values.append(record.id)
        else:
            found = _texts(of_type[code], resource, descending=descending) if code in of_type else []
            values.append((max(found) if descending else min(found)) if found else LAST)
    return (*values, record.key)


def _texts(parameter: Parameter, resource: dict[str, Any], *, descending: bool) -> list[str]:
    """Return the values of a parameter as texts that sort as its type does; a period by the end that comes first."""
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
                found += [ordered_time(interval[descending]) for interval in times(value, kind)]
            case "number":
                found += [ordered_number(n) for n in numbers(value)]
            case "quantity":
                found += [ordered_number(n) for n, _, _ in quantities(value, kind)]
            case "reference" if isinstance(value, dict):
                found += [value["reference"]] if isinstance(value.get("reference"), str) else []
            case _ if isinstance(value, str):
                found.append(value)
    return found
