"""Links to other resources: chains and `_has`, followed from whichever side is smaller.

Few linked resources are fetched, and the search is for what refers to them (or for what they refer to). Many are left
where they are: the results are walked in their order, and it is looked up whether what they link to meets the rest.
https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from fhir_server.api.criteria import Criterion, Everything, Key, Nothing, Order, Position, Term, all_of, any_of
from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.search.conditions import NARROW_TARGETS, Condition, Index, present
from fhir_server.search.elements import may_be_canonical
from fhir_server.search.indexing import CONTAINED, within
from fhir_server.search.matching import matcher
from fhir_server.search.parameters import Parameter
from fhir_server.search.plan import Json, Part, Plan, Test, contained_of, key_of, on_each
from fhir_server.search.query import Filter
from fhir_server.search.terms import SEPARATOR, TermHash
from fhir_server.search.values import reference_key

# Up to so many linked resources are fetched before the other side is tried, and when that is no way out.
FEW = 1_000
FEW_REFERRING = 1_000
MOST = 10_000
MAX_SEARCHES = 500
_BATCH = 500
_NEWEST = Order("moment", descending=True)
# Milliseconds after which it is asked again whether there are contained resources of a type.
FORGOTTEN_AFTER = 1_000

Inner = Callable[[str], Awaitable[Plan | None]]


@dataclass(frozen=True, slots=True)
class Inside:
    """How a chain is followed into the resource itself: what finds the containers, and what is contained is tested by.

    https://hl7.org/fhir/R4/search.html#contained
    """

    target: str
    where: Criterion
    test: Test

    async def met(self, parameter: Parameter, resource: Json) -> bool:
        """Whether the resource refers, by the parameter, to one it contains that passes."""
        rows = contained_of(resource, (self.target,))
        if not rows:
            return False
        held = await self.test(rows)
        ids = {f"#{row.get('id')}" for row, h in zip(rows, held, strict=True) if h}
        return bool(ids) and not ids.isdisjoint(_literals(parameter, resource))


@dataclass(slots=True)
class Links:
    """How many searches the links of one request have taken."""

    searches: int = 0

    def one_more(self, location: str) -> None:
        """Count a search; raises TooCostly when there were too many."""
        self.searches += 1
        if self.searches > MAX_SEARCHES:
            raise TooCostly(
                f"The links of this search take more than {MAX_SEARCHES} searches to follow. Ask for less at a time.",
                location=location,
            )


class ContainedTypes:
    """Which types a tenant has contained resources of, so that chains look into these only where there are some.

    That there are some stays so; that there are none is asked again after a second.
    """

    def __init__(self) -> None:
        self._there: set[Hashable] = set()
        self._absent_until: dict[Hashable, int] = {}

    async def has(self, records: Reading, term: TermHash, group: Hashable, resource_type: str, now: int) -> bool:
        """Whether any resource contains one of the type. `group` is the tenant with the access of the caller."""
        key = (group, resource_type)
        if key in self._there:
            return True
        if self._absent_until.get(key, 0) > now:
            return False
        if await records.outlines(Term((term(CONTAINED + resource_type),)), 1):
            self._there.add(key)
            return True
        self._absent_until[key] = now + FORGOTTEN_AFTER
        return False


@dataclass(frozen=True, slots=True)
class Following:
    """What following links needs of the search it is done for."""

    records: Reading
    links: Links
    base_url: str
    eager: bool
    inside: Callable[[str], Awaitable[Inside | None]] | None = None


async def to_matching(one: Filter, targets: Sequence[str], inner: Inner, index: Index, following: Following) -> Part:
    """Return the part of referring, by the filter's parameter, to a resource of the targets that meets `inner`.

    `inner` gives the plan for a target, or None where it cannot be asked of one. Raises TooCostly.
    """
    plans: list[tuple[str, Plan]] = []
    keys: list[str] = []
    for target in targets:
        plan = await inner(target)
        if plan is not None:
            plans.append((target, plan))
    if any(may_be_canonical(p.expression) for p in one.per_type or (one.parameter,)):
        return await _by_canonicals(one, [plan for _, plan in plans], index, following)
    for _, plan in plans:
        room = (MOST if following.eager else FEW) - len(keys)
        found = await matching_keys(following, plan, room, one.location)
        if found is None and following.eager:
            raise TooCostly(
                f"{one.parameter.code} links to more than {MOST} matches. Narrow it.", location=one.location
            )
        if found is None:
            return await _looked_up(one, dict(plans), index, following)
        keys += found
    insides = [i for i in [await following.inside(t) for t, _ in plans] if i] if following.inside else []
    return await _by_keys(one, keys, insides, index, following)


async def _by_canonicals(one: Filter, plans: Sequence[Plan], index: Index, following: Following) -> Part:
    """Return the part of referring to what the plans find, by key or by canonical URL, with its version or without.

    https://hl7.org/fhir/R4/references.html#canonical
    """
    keys: list[str] = []
    urls: set[str] = set()
    wanted: set[str] = set()
    for plan in plans:
        found = await all_matching(following.records, plan, MOST - len(keys))
        if found is None:
            raise TooCostly(f"{one.parameter.code} links to more than {MOST} matches.", location=one.location)
        for record in found:
            keys.append(record.key)
            resource = decode_stored(record.raw)
            if url := resource.get("url"):
                urls.add(url)
                wanted |= names_of(resource)
    names = {index.name(p) for p in one.per_type or (one.parameter,)}
    where = index.texts(name + SEPARATOR + text for name in names for text in (*keys, *sorted(urls)))
    held = frozenset(keys)

    def holds(resource: Json) -> bool:
        parameter = parameter_of(one, resource)
        if not held.isdisjoint(local_references(parameter, resource, following.base_url)):
            return True
        return not wanted.isdisjoint(canonicals(parameter, resource))

    return Part(Condition(where, exact=False), on_each(holds))


async def _by_keys(
    one: Filter, keys: Sequence[str], insides: Sequence[Inside], index: Index, following: Following
) -> Part:
    """Return the part of referring to one of the keys, or to a contained resource that passes."""
    containers = []
    for inside in () if index.contained else insides:
        found = await all_matching(following.records, Plan(inside.where), MOST)
        if found is None:
            raise TooCostly(f"{one.parameter.code}: too much is contained in others.", location=one.location)
        for record in found:
            resource = decode_stored(record.raw)
            if await inside.met(parameter_of(one, resource), resource):
                containers.append(within(record.key))
    if not keys and not containers and not index.contained:
        return Part(Condition(Nothing()), on_each(lambda resource: False))
    names = {index.name(p) for p in one.per_type or (one.parameter,)}
    texts = (name + SEPARATOR + key for name in names for key in (*keys, *containers))
    where = index.texts(texts, broad=not all(k.startswith(NARROW_TARGETS) for k in keys))
    if index.contained:
        where = Everything()  # what it refers to may be contained beside it
    own = frozenset(containers)
    made = Filter(one.parameter, "", tuple(keys) or ("_",), "", one.per_type)
    refers = matcher(made, index.parameters, index.setting)

    def holds(resource: Json) -> bool:
        return refers(resource) or within(key_of(resource)) in own

    async def in_any(resources: Sequence[Json]) -> list[bool]:
        return [holds(r) or any([await i.met(parameter_of(one, r), r) for i in insides]) for r in resources]

    if index.contained:
        return Part(Condition(where, exact=False), in_any)
    return Part(Condition(where), on_each(holds), () if containers else tuple(keys))


async def _looked_up(one: Filter, plans: dict[str, Plan], index: Index, following: Following) -> Part:
    """Return the part that looks from each result at what it refers to; what was looked at is remembered."""
    known: dict[str, bool] = {}
    insides = [i for i in [await following.inside(t) for t in plans] if i] if following.inside else []

    async def test(resources: Sequence[Json]) -> list[bool]:
        rows = [local_references(parameter_of(one, r), r, following.base_url) for r in resources]
        unknown = sorted({key for row in rows for key in row if key not in known})
        for target, plan in plans.items():
            keys = [key for key in unknown if key.startswith(target + "/")]
            for start in range(0, len(keys), _BATCH):
                some = tuple(keys[start : start + _BATCH])
                narrowed = Plan(all_of(Key(some), plan.where), plan.test)
                found = await matching_keys(following, narrowed, len(some), one.location)
                known.update(dict.fromkeys(found or (), True))
        known.update((key, False) for key in unknown if key not in known)
        return [
            any(known[key] for key in row) or any([await i.met(parameter_of(one, r), r) for i in insides])
            for row, r in zip(rows, resources, strict=True)
        ]

    return Part(Condition(present(one.parameter, index).where, exact=False), test)


def parameter_of(one: Filter, resource: Json) -> Parameter:
    """Return the filter's parameter for the resource's type."""
    kind = resource["resourceType"]
    return next((p for p in one.per_type if p.resource_type == kind), one.parameter)


async def matching_keys(following: Following, plan: Plan, room: int, location: str) -> list[str] | None:
    """Return the keys of all that a plan finds, or None where they are more than there is room for."""
    following.links.one_more(location)
    if plan.test is None:
        found = await following.records.outlines(plan.where, room + 1)
        return None if len(found) > room else [o.key for o in found]
    records = await all_matching(following.records, plan, room)
    return None if records is None else [r.key for r in records]


async def all_matching(records: Reading, plan: Plan, room: int) -> list[Stored] | None:
    """Return all that a plan finds, or None where they, or those that had to be looked at, are too many."""
    kept: list[Stored] = []
    after: Position | None = None
    looked_at = 0
    batch = room + 1 if plan.test is None else max(room + 1, _BATCH)
    while True:
        page = await records.search(plan.where, _NEWEST, batch, after)
        looked_at += len(page.records)
        kept += await passing(plan, page.records)
        if len(kept) > room or looked_at > MOST:
            return None
        if not page.more or not page.records:
            return kept
        last = page.records[-1]
        after = Position(last.moment, last.key)


async def passing(plan: Plan, records: Sequence[Stored]) -> list[Stored]:
    """Return the records that pass a plan's test."""
    if plan.test is None or not records:
        return list(records)
    held = await plan.test([decode_stored(r.raw) for r in records])
    return [r for r, h in zip(records, held, strict=True) if h]


Narrowed = Callable[[Sequence[str]], Awaitable[Plan]]


async def from_matching(
    source: str, reference: Parameter, types: Sequence[str], inner: Narrowed, term: TermHash,
    following: Following, location: str,
) -> Part:  # fmt: skip
    """Return the part of being referred to, by the parameter, from a resource of the source type that meets `inner`.

    `inner` gives the plan for what refers to some keys, or without keys for all. `types` are those searched.
    Raises TooCostly.
    """
    plan = await inner(())
    following.links.one_more(location)
    is_canonical = may_be_canonical(reference.expression)
    room = MOST if following.eager or is_canonical else FEW_REFERRING
    found = await all_matching(following.records, plan, room)
    if found is None and room == MOST:
        raise TooCostly(f"_has: more than {MOST} resources of {source} match. Narrow it.", location=location)
    if found is not None:
        keys: set[str] = set()
        urls: set[str] = set()
        for record in found:
            resource = decode_stored(record.raw)
            keys |= local_references(reference, resource, following.base_url)
            urls |= canonicals(reference, resource)
        if urls:
            return _named(keys, urls, types or reference.targets, term)
        wanted = sorted(k for k in keys if not types or k.partition("/")[0] in types)
        where: Criterion = Key(tuple(wanted)) if wanted else Nothing()
        return Part(Condition(where), on_each(lambda r: key_of(r) in keys))
    return Part(Condition(_anything(types, term), exact=False), _referred(reference, inner, term, following, location))


def _named(keys: set[str], urls: set[str], types: Sequence[str], term: TermHash) -> Part:
    """Return the part of being one of the keys, or of having one of the canonical URLs."""
    heads = sorted({url.partition("|")[0] for url in urls})
    terms = tuple(term(f"{kind}.url{SEPARATOR}{head}") for kind in types for head in heads)

    def holds(resource: Json) -> bool:
        return key_of(resource) in keys or not urls.isdisjoint(names_of(resource))

    where = any_of(Term(terms), Key(tuple(sorted(keys)))) if keys else Term(terms)
    return Part(Condition(where, exact=False), on_each(holds))


def _anything(types: Sequence[str], term: TermHash) -> Criterion:
    return Term(tuple(map(term, types)), broad=True) if types else Everything()


def _referred(
    reference: Parameter, inner: Narrowed, term: TermHash, following: Following, location: str
) -> Callable[[Sequence[Json]], Awaitable[list[bool]]]:
    """Return the test that looks for what refers to each result."""

    async def referred(keys: Sequence[str]) -> set[str]:
        following.links.one_more(location)
        plan = await inner(keys)
        by_term = {term(f"{reference.index_name}{SEPARATOR}{key}"): key for key in keys}
        if plan.test is not None:
            found = await all_matching(following.records, plan, MOST)
            if found is None:
                return await halves(keys)
            links = (local_references(reference, decode_stored(r.raw), following.base_url) for r in found)
            return {key for row in links for key in row} & set(keys)
        outlines = await following.records.outlines(plan.where, MOST, terms=True)
        seen = {by_term[t] for o in outlines for t in o.terms if t in by_term}
        if len(outlines) < MOST or len(seen) == len(keys):
            return seen
        return seen | await halves([k for k in keys if k not in seen])

    async def halves(keys: Sequence[str]) -> set[str]:
        if len(keys) < 2:
            raise TooCostly("_has: too many resources refer to one of the results.", location=location)
        middle = len(keys) // 2
        return await referred(keys[:middle]) | await referred(keys[middle:])

    async def test(resources: Sequence[Json]) -> list[bool]:
        keys = [key_of(r) for r in resources]
        found: set[str] = set()
        for start in range(0, len(keys), 100):
            found |= await referred(keys[start : start + 100])
        return [key in found for key in keys]

    return test


def local_references(parameter: Parameter, resource: Json, base_url: str) -> set[str]:
    """Return the keys of the resources here that a resource refers to by a parameter."""
    keys = {reference_key(literal, base_url) for literal in _literals(parameter, resource)}
    return {k for k in keys if not parameter.target_type or k.startswith(parameter.target_type + "/")}


def names_of(resource: Json) -> set[str]:
    """Return what a canonical reference may call a resource: its URL, with its version or without."""
    url = resource.get("url")
    return {url, f"{url}|{resource.get('version', '')}"} if url else set()


def canonicals(parameter: Parameter, resource: Json) -> set[str]:
    """Return the canonical URLs that a resource has under a parameter, as they are written."""
    return {node.value for node in parameter.path.evaluate(resource) if isinstance(node.value, str)}


def _literals(parameter: Parameter, resource: Json) -> Iterator[str]:
    for node in parameter.path.evaluate(resource):
        literal = node.value.get("reference") if isinstance(node.value, dict) else None
        if isinstance(literal, str):
            yield literal
