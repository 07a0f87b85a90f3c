"""search of a type, a compartment and the system. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from fhir_server.api.criteria import Order, all_of
from fhir_server.api.errors import InvalidRequest
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.fhir.bundles import bundle, search_entry
from fhir_server.fhir.json import decode_stored, encode
from fhir_server.fhir.outcomes import Issue, operation_outcome
from fhir_server.interactions.operation import query_parameters
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.search import walking
from fhir_server.search.compartments import in_compartment
from fhir_server.search.editions import Edition
from fhir_server.search.including import Including
from fhir_server.search.paging import CURSOR
from fhir_server.search.plan import Plan, contained_of
from fhir_server.search.planning import Search
from fhir_server.search.query import PASSED_OVER, SearchQuery
from fhir_server.search.sorting import sorted_page
from fhir_server.search.walking import Exhausted

ESTIMATE_CAP = 10_000


async def search(call: Call, route: Route) -> Answer:
    """Return one page of what matches, with what it includes, and links to itself and the next page."""
    edition = call.edition
    names = [value for name, value in call.request.query if name == "_query"]
    given = await _named(call, route, names) if names else call.request.query
    query = edition.planner.parser.parse(route.type, given, strict=call.request.strict)
    if names:  # links say what was asked
        query = replace(query, given=tuple((n, v) for n, v in call.request.query if n not in PASSED_OVER))
    under_way = call.searching()
    try:
        return await _searched(call, route, edition, query, under_way)
    except Exhausted:
        if not under_way.links.searches:
            raise
    # Walking the results and looking at what they link to found too few: fetch what is linked to instead.
    return await _searched(call, route, edition, query, replace(call.searching(), eager=True))


async def _named(call: Call, route: Route, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what a named query stands for, with the rest of what is asked. https://hl7.org/fhir/R4/search.html#query"""
    found = call.services.registry.query(names[0], route.type) if len(names) == 1 else None
    if found is None or found.operation.query is None:
        text = f"_query: there is no query called {names[0][:64]!r} for {route.type or 'the system'}."
        raise InvalidRequest(issues=[Issue("not-found", text, location="http._query")])
    own, rest = query_parameters(found, [(n, v) for n, v in call.request.query if n != "_query"])
    return [*await found.operation.query(own, call.records, call.services.clock.now()), *rest]


async def _searched(call: Call, route: Route, edition: Edition, query: SearchQuery, under_way: Search) -> Answer:
    plan = await edition.planner.plan(query, under_way)
    if route.compartment_type:
        member = in_compartment(
            edition.parameters, edition.indexer, call.services.definitions, call.tenant,
            route.compartment_type, route.id, route.type,
        )  # fmt: skip
        plan = Plan(all_of(member, plan.where), plan.test)
    limits = call.services.limits
    size = min(query.count if query.count is not None else limits.default_page, limits.max_page)
    if query.summary == "count" or size == 0:
        return _answer(call, route, query, (), total=await walking.count(call.records, plan))
    bound = (call.tenant.name, *call.request.path, *(f"{n}={v}" for n, v in query.given if n != "_count"))
    return await _page(call, route, edition, query, plan, size, bound)


async def _page(
    call: Call, route: Route, edition: Edition, query: SearchQuery, plan: Plan, size: int, bound: tuple[str, ...]
) -> Answer:
    order = _order(edition, query)
    cursors = call.services.cursors
    cursor = ""
    if order is None:
        after = cursors.read(query.cursor, bound) if query.cursor else None
        found: Sequence[Stored]
        found, more, fields = await sorted_page(edition.parameters, call.records, plan, query, size, after)
        cursor = cursors.sign(fields, bound) if more else ""
    else:
        position = cursors.position(query.cursor, bound) if query.cursor else None
        page = await walking.page(call.records, plan, order, size, position)
        found, more = page.records, page.more
        if more:
            cursor = cursors.sign(walking.position(found[-1], order), bound)
    total = await _total(call, query, plan, None if more or query.cursor else len(found))
    extra: Iterable[Stored] = ()
    if query.includes or query.reverse_includes:
        including = Including(edition.parameters, call.term, call.records, call.base_url)
        extra = await including.included(query, found)
    if query.contained != "false" and query.contained_type == "contained":
        entries = await _contained_entries(call, edition, query, found)
        return _answer(call, route, query, (), extra, total=None, cursor=cursor, entries=entries)
    return _answer(call, route, query, found, extra, total=total, cursor=cursor)


async def _contained_entries(call: Call, edition: Edition, query: SearchQuery, found: Sequence[Stored]) -> list[bytes]:
    """Return the contained resources that match, by their containers' URLs, and containers that match by themselves.

    https://hl7.org/fhir/R4/search.html#contained
    """
    entries = []
    test = await edition.planner.of_contained(query, call.searching())
    alone = await edition.planner.truth(query, call.searching())
    for record in found:
        url = call.full_url(record.key)
        resource = decode_stored(record.raw)
        if query.contained == "both" and (await alone([resource]))[0]:
            entries.append(search_entry(url.encode(), record.raw))
        inside = contained_of(resource, query.types)
        for one, matches in zip(inside, await test(inside), strict=True):
            if matches:
                own = next(c for c in resource["contained"] if c["id"] == one["id"])
                entries.append(search_entry(f"{url}#{one['id']}".encode(), encode(own)))
    return entries


def _order(edition: Edition, query: SearchQuery) -> Order | None:
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
    if descending and len(query.types) == 1 and code == edition.indexer.principal_date(query.types[0]):
        return Order("moment", descending)  # ascending, a period counts by its start, and what has no date is last
    return None


async def _total(call: Call, query: SearchQuery, plan: Plan, known: int | None) -> int | None:
    """Return the count where it is asked for, or known anyway. https://hl7.org/fhir/R4/search.html#total"""
    if known is not None or query.total in ("", "none"):
        return known
    if query.total == "accurate":
        return await walking.count(call.records, plan)
    return await walking.count(call.records, plan, cap=ESTIMATE_CAP)


def _answer(
    call: Call,
    route: Route,
    query: SearchQuery,
    found: Iterable[Stored],
    extra: Iterable[Stored] = (),
    *,
    total: int | None = None,
    cursor: str = "",
    entries: Sequence[bytes] = (),
) -> Answer:
    base = call.base_url.encode() + b"/"
    entries = [*entries, *(search_entry(base + r.key.encode(), r.raw) for r in found)]
    entries += [search_entry(base + r.key.encode(), r.raw, b"include") for r in extra]
    if query.issues:
        told = encode(operation_outcome(query.issues))
        entries.append(search_entry(f"urn:uuid:{call.services.ids.new_id()}".encode(), told, b"outcome"))
    links = [("self", _link(call, route, query, query.cursor))]
    if cursor:
        links.append(("next", _link(call, route, query, cursor)))
    return Answer("ok", bundle("searchset", entries, links=links, total=total))


def _link(call: Call, route: Route, query: SearchQuery, cursor: str) -> str:
    path = "/".join(p for p in call.request.path if p != "_search")
    pairs = [*query.given, (CURSOR, cursor)] if cursor else query.given
    url = f"{call.base_url}/{path}" if path else call.base_url
    return url + (f"?{urlencode(pairs, safe=':/|,$')}" if pairs else "")
