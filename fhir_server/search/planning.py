"""A search query as one criterion: its filters ANDed, chains resolved, common pairs joined into one term.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.api.criteria import (
    And,
    Checked,
    Criterion,
    Everything,
    Key,
    Moment,
    Not,
    Nothing,
    Order,
    Position,
    Range,
    Term,
    Updated,
    all_of,
    any_of,
)
from fhir_server.api.errors import InvalidRequest, TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.dates import parse_search_date
from fhir_server.fhir.references import is_id
from fhir_server.search.conditions import condition, date_value, reference_keys, token_forms, unsupported
from fhir_server.search.indexing import Indexer
from fhir_server.search.query import Filter, QueryParser, SearchQuery, unescape
from fhir_server.search.terms import LAST, SEPARATOR, TermHash, ordered_time, range_prefix

MAX_CHAINED = 10_000
MAX_PAIRS = 100
_CHAIN_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Planner:
    """Compiles queries; one for the server."""

    indexer: Indexer
    parser: QueryParser

    async def plan(self, query: SearchQuery, tenant: Tenant, records: Reading, now: int, base_url: str) -> Criterion:
        """Return the criterion of a query. Chains are searched for through `records`, so with the caller's access.

        `now` is in milliseconds. Raises InvalidRequest, and TooCostly for a chain that matches too much.
        """
        term = self.indexer.hash_of(tenant)
        kinds = self._of_types(query, term)
        filters = [await self._unchained(f, tenant, records, now, base_url) if f.chain else f for f in query.filters]
        if any(not f.values for f in filters):
            return Nothing()
        joined, filters = self._pairs(query, filters, term, base_url)
        conditions = [kinds, *joined]
        for one in filters:
            if one.parameter.code == "_id":
                conditions.append(_ids(query, one))
            elif one.parameter.code == "_lastUpdated":
                conditions.append(any_of(*(_updated(one, v) for v in one.values)))
            else:
                conditions.append(self._on_moment(query, one) or _condition(one, term, now, base_url))
        return all_of(*_without_needless_type(conditions))

    def _of_types(self, query: SearchQuery, term: TermHash) -> Criterion:
        return Term(tuple(map(term, query.types))) if query.types else Everything()

    def _on_moment(self, query: SearchQuery, one: Filter) -> Criterion | None:
        """Return `gt` and `ge` on the principal date as a bound on the order the index is walked in.

        The principal date is the latest end among the values. An end after the asked interval settles both; one inside
        it settles `ge` only if a value begins inside too, which hardly any does not.
        """
        if len(query.types) != 1 or len(one.values) != 1 or one.modifier or one.parameter.type != "date":
            return None
        if one.parameter.code != self.indexer.principal_date(query.types[0]):
            return None
        prefix, low, high = date_value(one, one.values[0])
        if prefix == "gt":
            return Moment(high + 1, None)
        if prefix == "ge":
            begins = range_prefix(one.parameter.index_name + SEPARATOR + "low")
            begins_inside = Range(begins + ordered_time(low), begins + LAST)
            straddling = And((Moment(None, high + 1), Not(begins_inside)))
            return And((Moment(low + 1, None), Checked(Not(straddling))))
        return None

    def _pairs(
        self, query: SearchQuery, filters: list[Filter], term: TermHash, base_url: str
    ) -> tuple[list[Criterion], list[Filter]]:
        """Replace a patient filter and a code filter by the terms that stand for both."""
        if len(query.types) != 1:
            return [], filters
        subject, others = self.indexer.pair(query.types[0])
        patients = [f for f in filters if f.parameter.index_name == subject and f.modifier in ("", "Patient")]
        codes = [f for f in filters if f.parameter.index_name in others and not f.modifier]
        if not codes or len(patients) != 1:
            return [], filters
        keys = [k for v in patients[0].values for k in reference_keys(patients[0], v, base_url)]
        if not keys or not all(k.startswith("Patient/") for k in keys):
            return [], filters
        forms = [token_forms(v) for v in codes[0].values]
        if len(keys) * len(forms) > MAX_PAIRS or not all(code for _, code in forms):
            return [], filters
        head = f"{subject}+{codes[0].parameter.index_name}{SEPARATOR}"
        terms = tuple(term(f"{head}{k}{SEPARATOR}{system}{SEPARATOR}{code}") for k in keys for system, code in forms)
        rest = [f for f in filters if f is not patients[0] and f is not codes[0]]
        return [Term(terms)], rest

    async def _unchained(self, one: Filter, tenant: Tenant, records: Reading, now: int, base_url: str) -> Filter:
        """Return the filter for references to what matches the rest of the chain; without values where nothing does."""
        if one.parameter.type != "reference":
            raise InvalidRequest(f"{one.parameter.code} is no reference and cannot be chained.", location=one.location)
        narrowed = one.modifier or one.parameter.target_type
        targets = [narrowed] if narrowed else _targets(one)
        keys: list[str] = []
        understood = False
        for target in targets:
            inner = self.parser.parse(target, [(one.chain, ",".join(one.values))], strict=False)
            if not inner.filters:
                continue
            understood = True
            where = await self.plan(inner, tenant, records, now, base_url)
            keys += await _all_keys(records, where, MAX_CHAINED - len(keys), one)
        if not understood:
            raise InvalidRequest(
                f"{one.parameter.code}.{one.chain[:64]}: no type it refers to has that parameter.",
                location=one.location,
            )
        return replace(one, modifier="", values=tuple(keys), chain="")


def _targets(one: Filter) -> list[str]:
    return list(dict.fromkeys(target for p in one.per_type or (one.parameter,) for target in p.targets))


def _condition(one: Filter, term: TermHash, now: int, base_url: str) -> Criterion:
    """Return the criterion of a filter on one type, on several or on all: any of the types' own may hold."""
    if not one.per_type:
        return condition(one, term, now, base_url)
    each = [condition(replace(one, parameter=p), term, now, base_url) for p in one.per_type]
    each = [c.condition if isinstance(c, Not) else c for c in each]  # none of them, not: one of them not
    terms = tuple(t for c in each if isinstance(c, Term) for t in c.any_of)
    made = any_of(*([Term(terms)] if terms else []), *(c for c in each if not isinstance(c, Term)))
    return Not(made) if one.modifier == "not" else made


async def _all_keys(records: Reading, where: Criterion, room: int, one: Filter) -> list[str]:
    keys: list[str] = []
    after: Position | None = None
    while True:
        page = await records.search(where, Order("key", descending=False), _CHAIN_PAGE, after)
        keys += [r.key for r in page.records]
        if len(keys) > room:
            raise TooCostly(
                f"{one.parameter.code}.{one.chain[:64]} matches more than {MAX_CHAINED} resources. Narrow the chain.",
                location=one.location,
            )
        if not page.more or not page.records:
            return keys
        after = Position(0, keys[-1])


def _ids(query: SearchQuery, one: Filter) -> Criterion:
    if one.modifier:
        raise unsupported(one, f"_id:{one.modifier[:32]} is not a modifier of _id.")
    if not query.types:
        raise InvalidRequest("_id needs a type to search: GET [base]/Patient?_id=1.", location="http._id")
    ids = [v for v in one.values if is_id(v)]
    return Key(tuple(f"{t}/{i}" for t in query.types for i in ids)) if ids else Nothing()


def _updated(one: Filter, value: str) -> Criterion:
    try:
        prefix, low, high = parse_search_date(unescape(value))
    except ValueError:
        raise InvalidRequest(
            "_lastUpdated must be a date such as 2026-11 or ge2026-11-23T09:00:00Z.", location="http._lastUpdated"
        ) from None
    if one.modifier:
        raise unsupported(one, f"_lastUpdated:{one.modifier[:32]} is not supported.")
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
    return bounds[prefix]


def _without_needless_type(conditions: Sequence[Criterion]) -> Sequence[Criterion]:
    """Leave the type's own term out where another condition implies it: terms, ranges and keys name the type."""

    def implies(one: Criterion) -> bool:
        if isinstance(one, And):
            return any(implies(c) for c in one.conditions)
        return isinstance(one, Key | Range | Nothing) or (isinstance(one, Term) and bool(one.any_of))

    return conditions[1:] if any(implies(c) for c in conditions[1:]) else conditions
