"""Resources in memory, found as the store finds them: criteria walked over what the indexer makes of each.

See fhir_server.api.ports.Reading and fhir_server.api.criteria.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.api import (
    And,
    Coding,
    Concept,
    Criterion,
    Everything,
    Expansion,
    Index,
    Key,
    Library,
    Membership,
    Moment,
    Not,
    Nothing,
    OfType,
    Or,
    Order,
    Page,
    Position,
    Range,
    Stored,
    Tenant,
    Term,
    Updated,
    encode,
)
from fhir_server.api.criteria import Checked, Containing, Present
from fhir_server.api.records import Outline
from fhir_server.fhir.dates import parse_range
from fhir_server.fhir.definitions import r4
from fhir_server.search.indexing import Indexer
from fhir_server.search.parameters import Parameters
from fhir_server.search.plan import Plan
from fhir_server.search.planning import Planner, Search
from fhir_server.search.query import QueryParser
from fhir_server.search.walking import all_of_plan

Json = dict[str, Any]

BASE = "https://here.example/fhir"
NOW = parse_range("2026-01-01")[0]
TENANT = Tenant("t", "t", b"k" * 32)
PARAMETERS = Parameters(r4())
INDEXER = Indexer(r4(), PARAMETERS, BASE)
PARSER = QueryParser(PARAMETERS, r4().resource_types)
TERM = INDEXER.hash_of(TENANT)

_CHECKABLE = (Moment, Range, And, Or, Not)


@dataclass(frozen=True)
class Kept:
    """A resource in the store, with what it is found by."""

    record: Stored
    index: Index


def kept(resource: Json, *, updated: int = NOW, version: int = 1) -> Kept:
    """Return a resource as it would be stored."""
    index = INDEXER.index(TENANT, resource)
    key = f"{resource['resourceType']}/{resource['id']}"
    return Kept(Stored(key, version, updated, encode(resource), moment=index.moment), index)


def meets(one: Kept, where: Criterion) -> bool:
    """Whether a criterion holds, as api.criteria says it."""
    match where:
        case Everything():
            return True
        case Nothing():
            return False
        case Term(terms):
            return not set(terms).isdisjoint(one.index.terms)
        case Range(low, high):
            return any(low <= text < high for text in one.index.ranges)
        case Containing(prefix, text):
            return any(s.startswith(prefix) and text in s[len(prefix) :] for s in one.index.ranges)
        case Present(code):
            return code in one.index.present
        case Key(keys):
            return one.record.key in keys
        case OfType(types):
            return one.record.type in types
        case Updated(since, until):
            return _within(one.record.updated, since, until)
        case Moment(since, until):
            return _within(one.record.moment, since, until)
        case And(conditions):
            return all(meets(one, c) for c in conditions)
        case Or(conditions):
            return any(meets(one, c) for c in conditions)
        case Not(inner):
            return not meets(one, inner)
        case Checked(inner):
            assert isinstance(inner, _CHECKABLE), f"{inner} cannot be checked"
            return meets(one, inner)


def _within(value: int, since: int | None, until: int | None) -> bool:
    return (since is None or value >= since) and (until is None or value < until)


@dataclass
class Memory:
    """api.ports.Reading over resources in a dict; what was asked of it is kept."""

    by_key: dict[str, Kept] = field(default_factory=dict)
    searches: list[tuple[Criterion, int]] = field(default_factory=list)
    outlined: list[tuple[Criterion, int]] = field(default_factory=list)
    reads: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *resources: Json, updated: int = NOW) -> None:
        """Store resources."""
        for resource in resources:
            one = kept(resource, updated=updated)
            self.by_key[one.record.key] = one

    def delete(self, key: str) -> None:
        """Put a tombstone in the place of a resource."""
        version = self.by_key[key].record.version + 1
        self.by_key[key] = Kept(Stored(key, version, NOW, b"", "DELETE", deleted=True), Index())

    def found(self, where: Criterion) -> list[Kept]:
        """Return the live resources of which a criterion holds, by their keys."""
        rows = (self.by_key[key] for key in sorted(self.by_key))
        return [one for one in rows if not one.record.deleted and meets(one, where)]

    async def read(self, key: str) -> Stored | None:
        return self.by_key[key].record if key in self.by_key else None

    async def read_many(self, keys: Sequence[str]) -> dict[str, Stored]:
        self.reads.append(tuple(keys))
        return {k: self.by_key[k].record for k in keys if k in self.by_key}

    async def vread(self, key: str, version: int) -> Stored | None:
        found = await self.read(key)
        return found if found is not None and found.version == version else None

    async def search(self, where: Criterion, order: Order, limit: int, after: Position | None = None) -> Page:
        self.searches.append((where, limit))
        sign = -1 if order.descending else 1
        rows = [one.record for one in self.found(where)]  # ties go by the key, ascending
        if order.by == "key":
            rows.sort(key=lambda r: r.key, reverse=order.descending)
            past = [r for r in rows if after is None or (r.key < after.key if sign < 0 else r.key > after.key)]
            return Page(tuple(past[:limit]), more=len(past) > limit)
        rows.sort(key=lambda r: sign * value_of(r, order))
        if after is not None:
            shown = (sign * after.value, after.key)
            rows = [r for r in rows if (sign * value_of(r, order), r.key) > shown]
        return Page(tuple(rows[:limit]), more=len(rows) > limit)

    async def outlines(
        self, where: Criterion, limit: int, *, terms: bool = False, ranges: bool = False
    ) -> list[Outline]:
        self.outlined.append((where, limit))
        return [
            Outline(
                one.record.key,
                one.record.updated,
                one.record.moment,
                one.index.terms if terms else (),
                one.index.ranges if ranges else (),
            )
            for one in self.found(where)[:limit]
        ]

    async def count(self, where: Criterion, cap: int = 0) -> int:
        number = len(self.found(where))
        return min(number, cap) if cap else number

    async def history(self, of: object, limit: int, after: Position | None = None) -> Page:
        raise AssertionError("no search reads the history")


def value_of(record: Stored, order: Order) -> int:
    """Return what an order by a time goes by."""
    return record.updated if order.by == "updated" else record.moment


@dataclass(frozen=True)
class Sets:
    """api.Terminology of value sets given in full; a code subsumes itself and those that begin with it."""

    by_url: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    async def expand(self, library: Library, value_set: str, limit: int = 10_000) -> Expansion:
        return Expansion(tuple(Concept(*pair) for pair in sorted(self.by_url[value_set])))

    async def contains(self, library: Library, value_set: str, system: str, code: str) -> bool:
        return (system, code) in self.by_url[value_set]

    async def check(self, library: Library, coding: Coding, value_set: str = "") -> Membership:
        return Membership((coding.system, coding.code) in self.by_url[value_set])

    async def below(self, library: Library, system: str, code: str) -> frozenset[str]:
        return frozenset(c for rows in self.by_url.values() for s, c in rows if s == system and c.startswith(code))

    async def above(self, library: Library, system: str, code: str) -> frozenset[str]:
        return frozenset(c for rows in self.by_url.values() for s, c in rows if s == system and code.startswith(c))


class Shelf:
    """api.Library with nothing in it."""

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        return []


def searching(records: Memory, sets: Sets | None = None, *, eager: bool = False) -> Search:
    """Return a search of these records."""
    return Search(TENANT, records, Shelf(), sets or Sets(), NOW, BASE, eager=eager)


async def planned(
    records: Memory, resource_type: str, *pairs: tuple[str, str], sets: Sets | None = None, eager: bool = False
) -> Plan:
    """Return the plan of a query."""
    query = PARSER.parse(resource_type, pairs, strict=True)
    return await Planner(INDEXER, PARSER, PARAMETERS).plan(query, searching(records, sets, eager=eager))


async def found_by(
    records: Memory, resource_type: str, *pairs: tuple[str, str], sets: Sets | None = None, eager: bool = False
) -> list[str]:
    """Return the keys of all that a query finds."""
    plan = await planned(records, resource_type, *pairs, sets=sets, eager=eager)
    return sorted(record.key for record in await all_of_plan(records, plan, 100_000))
