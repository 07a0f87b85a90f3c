"""search of a type, a compartment and the system. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from fhir_server.api.criteria import Criterion, Order, Position, all_of
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.fhir.bundles import bundle, outcome_entry, search_entry
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import operation_outcome
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.search.compartments import in_compartment
from fhir_server.search.including import included
from fhir_server.search.paging import CURSOR
from fhir_server.search.query import SearchQuery
from fhir_server.search.sorting import sorted_page

ESTIMATE_CAP = 10_000


async def search(call: Call, route: Route) -> Answer:
    """Return one page of what matches, with what it includes, and links to itself and the next page."""
    services = call.services
    query = call.planner.parser.parse(route.type, call.request.query, strict=call.request.strict)
    where = await call.planner.plan(query, call.tenant, call.records, services.clock.now(), call.base_url)
    if route.compartment_type:
        member = in_compartment(
            call.parameters, call.indexer, services.definitions, call.tenant,
            route.compartment_type, route.id, route.type,
        )  # fmt: skip
        where = all_of(member, where)
    size = min(query.count if query.count is not None else services.limits.default_page, services.limits.max_page)
    if query.summary == "count" or size == 0:
        total = await call.records.count(where)
        return _answer(call, route, query, (), total=total)
    bound = (call.tenant.name, *call.request.path, *(f"{n}={v}" for n, v in query.given if n != "_count"))
    return await _page(call, route, query, where, size, bound)


async def _page(
    call: Call, route: Route, query: SearchQuery, where: Criterion, size: int, bound: tuple[str, ...]
) -> Answer:
    order = _order(call, query)
    cursors = call.services.cursors
    cursor = ""
    if order is None:
        after = cursors.read(query.cursor, bound) if query.cursor else None
        found: Sequence[Stored]
        found, more, fields = await sorted_page(call.parameters, call.records, where, query, size, after)
        cursor = cursors.sign(fields, bound) if more else ""
    else:
        position = cursors.position(query.cursor, bound) if query.cursor else None
        page = await call.records.search(where, order, size, position)
        found, more = page.records, page.more
        if more:
            last = found[-1]
            value = last.moment if order.by == "moment" else last.updated
            cursor = cursors.sign(Position(value, last.key), bound)
    total = await _total(call, query, where, None if more or query.cursor else len(found))
    extra: Iterable[Stored] = ()
    if query.includes or query.reverse_includes:
        extra = await included(call.parameters, call.term, call.records, query, found, call.base_url)
    return _answer(call, route, query, found, extra, total=total, cursor=cursor)


def _order(call: Call, query: SearchQuery) -> Order | None:
    """Return the order an index gives, or None for one that must be made here."""
    if not query.sort:
        return Order("moment", descending=True)
    if len(query.sort) > 1:
        return None
    code, descending = query.sort[0]
    if code == "_lastUpdated":
        return Order("updated", descending)
    if code == "_id":
        return Order("key", descending)
    if len(query.types) == 1 and code == call.indexer.principal_date(query.types[0]):
        return Order("moment", descending)
    return None


async def _total(call: Call, query: SearchQuery, where: Criterion, known: int | None) -> int | None:
    """Return the count where it is asked for, or known anyway. https://hl7.org/fhir/R4/search.html#total"""
    if known is not None or query.total in ("", "none"):
        return known
    if query.total == "accurate":
        return await call.records.count(where)
    return await call.records.count(where, cap=ESTIMATE_CAP)


def _answer(
    call: Call,
    route: Route,
    query: SearchQuery,
    found: Iterable[Stored],
    extra: Iterable[Stored] = (),
    *,
    total: int | None = None,
    cursor: str = "",
) -> Answer:
    base = call.base_url.encode() + b"/"
    entries = [search_entry(base + r.key.encode(), r.raw) for r in found]
    entries += [search_entry(base + r.key.encode(), r.raw, b"include") for r in extra]
    if query.issues:
        entries.append(outcome_entry(encode(operation_outcome(query.issues))))
    links = [("self", _link(call, route, query, query.cursor))]
    if cursor:
        links.append(("next", _link(call, route, query, cursor)))
    return Answer("ok", bundle("searchset", entries, links=links, total=total))


def _link(call: Call, route: Route, query: SearchQuery, cursor: str) -> str:
    path = "/".join(p for p in call.request.path if p != "_search")
    pairs = [*query.given, (CURSOR, cursor)] if cursor else query.given
    url = f"{call.base_url}/{path}" if path else call.base_url
    return url + (f"?{urlencode(pairs, safe=':/|,$')}" if pairs else "")
