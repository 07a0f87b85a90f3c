"""A search query as a plan: its filters ANDed, links followed, common pairs joined into one term.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from fhir_server.api.criteria import (
    Criterion,
    Everything,
    Key,
    Not,
    Nothing,
    Term,
    all_of,
    any_of,
)
from fhir_server.api.errors import InvalidRequest
from fhir_server.api.ports import Reading
from fhir_server.api.tenant import Tenant
from fhir_server.api.terminology import Library, Terminology
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.references import is_id
from fhir_server.search import filtering
from fhir_server.search.conditions import Condition, Index, condition, forms, on_moment, reference_keys, stored
from fhir_server.search.indexing import CONTAINED, Indexer
from fhir_server.search.linking import ContainedTypes, Following, Inside, Links, from_matching, to_matching
from fhir_server.search.matching import Codes, Setting, matcher
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.comparing import matcher_of
from fhir_server.search.matching.reference import check_target
from fhir_server.search.matching.token import asked_token
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.plan import Json, Part, Plan, Test, all_tests, contained, every, key_of, none, on_each, some
from fhir_server.search.query import Filter, QueryParser, Reverse, SearchQuery, split, unescape
from fhir_server.search.ranking import flat, rank, with_type
from fhir_server.search.terms import SEPARATOR

MAX_PAIRS = 1_000
_SETS = frozenset({"in", "not-in", "above", "below"})
_BY_STORE = frozenset({"_id", "_lastUpdated"})


@dataclass(frozen=True, slots=True)
class Search:
    """One search under way: whose records and definitions it reads, when, and how many links it may still follow.

    `eager` makes links be followed to all that they match, where it is not enough to look from the other side.
    """

    tenant: Tenant
    records: Reading
    library: Library
    terminology: Terminology
    now: int
    base_url: str
    group: Hashable = None
    eager: bool = False
    links: Links = field(default_factory=Links)

    @property
    def following(self) -> Following:
        """What links need of this search."""
        return Following(self.records, self.links, self.base_url, self.eager)


@dataclass(frozen=True, slots=True)
class Planner:
    """Compiles queries; one for each edition of the search parameters."""

    indexer: Indexer
    parser: QueryParser
    parameters: Parameters
    contained_types: ContainedTypes = field(default_factory=ContainedTypes)

    async def plan(self, query: SearchQuery, search: Search) -> Plan:
        """Return the plan of a query. What it links to is read with the rights of the caller.

        Raises InvalidRequest for what cannot be asked, and TooCostly for links that match too much.
        """
        if query.contained == "false":
            return await self._plan(query, search)
        within = await self._contained(query, search)
        if query.contained == "true":
            return Plan(within.condition.where, within.test)
        outer = Part(Condition((await self._plan(query, search)).where, exact=False), await self.truth(query, search))
        joined = some([outer, within])
        return Plan(joined.condition.where, joined.test)

    async def truth(self, query: SearchQuery, search: Search) -> Test:
        """Return the whole test of a query's types and filters, whatever the index was asked."""
        index = self._index(search)
        parts = [await self._part(query, one, search, index) for one in query.filters]
        of_type = on_each(lambda resource: not query.types or resource["resourceType"] in query.types)
        return all_tests([of_type, *(part.test for part in parts)])

    async def _plan(self, query: SearchQuery, search: Search) -> Plan:
        index = self._index(search)
        kinds: Criterion = Everything()
        if query.types:
            kinds = Term(tuple(map(index.term, query.types)), broad=True)
        made = {one: await self._chained(one, search, index) for one in query.filters if one.chain}
        followed = [_followed(one, made.get(one)) for one in query.filters]
        joined, filters = self._pairs(query, followed, index)
        parts = [made[f] if f in made else await self._part(query, f, search, index) for f in filters]
        parts += await self._others(query, search)
        wheres = sorted((*joined, *(w for p in parts for w in flat(p.condition.where))), key=rank)
        tests = [p.residual for p in parts if p.residual is not None]
        return Plan(all_of(*with_type(kinds, query.types, wheres)), all_tests(tests) if tests else None)

    def _index(self, search: Search, *, within: bool = False) -> Index:
        setting = Setting(search.now, search.base_url)
        return Index(self.indexer.hash_of(search.tenant), self.parameters, setting, within)

    async def _part(self, query: SearchQuery, one: Filter, search: Search, index: Index) -> Part:
        if one.chain:
            return await self._chained(one, search, index)
        if one.parameter.code == "_id" and one.modifier != "missing":
            ids = stored.ids(one)
            return Part(Condition(stored.keys(query.types, ids)), on_each(lambda resource: resource.get("id") in ids))
        if one.parameter.code == "_lastUpdated" and one.modifier != "missing":
            return self._updated(one, index)
        index = await self._with_codes(one, search, index)
        truth = on_each(matcher(one, self.parameters, index.setting))
        return Part(self._on_moment(query, one, index) or condition(one, index), truth)

    async def _chained(self, one: Filter, search: Search, index: Index) -> Part:
        """Return the part of a chain: `subject:Patient.name=x`. https://hl7.org/fhir/R4/search.html#chaining"""
        understood = []
        refusals: list[InvalidRequest] = []

        async def inner(target: str) -> Plan | None:
            try:
                query = self.parser.parse(target, [(one.chain, ",".join(one.values))], strict=False)
                plan = None if query.issues else await self.plan(query, search)
            except InvalidRequest as refusal:
                # Of this type; another may have a parameter of the name that can be asked.
                refusals.append(refusal)
                return None
            if plan is not None:
                understood.append(target)
            return plan

        async def inside(target: str) -> Inside | None:
            group = search.group
            if not await self.contained_types.has(search.records, index.term, group, target, search.now):
                return None
            query = self.parser.parse(target, [(one.chain, ",".join(one.values))], strict=False)
            if query.issues or query.reverses or target not in understood:
                return None
            whole = await self._contained(query, search)
            return Inside(target, whole.condition.where, await self.of_contained(query, search))

        part = await to_matching(one, _targets(one), inner, index, replace(search.following, inside=inside))
        if not understood and refusals:
            raise refusals[0]
        if not understood:
            raise InvalidRequest(
                f"{one.parameter.code}.{one.chain[:64]}: no type it refers to has that parameter.",
                location=one.location,
            )
        return part

    async def _referred(self, query: SearchQuery, one: Reverse, search: Search) -> Part:
        """Return the part of a `_has`. https://hl7.org/fhir/R4/search.html#has"""
        inner = self.parser.parse(one.source, [(one.rest, one.value)], strict=True)

        async def narrowed(keys: Sequence[str]) -> Plan:
            linked = (Filter(one.reference, "", tuple(keys)),) if keys else ()
            return await self.plan(replace(inner, filters=(*linked, *inner.filters)), search)

        term = self.indexer.hash_of(search.tenant)
        return await from_matching(
            one.source, one.reference, query.types, narrowed, term, search.following, one.location
        )

    async def _others(self, query: SearchQuery, search: Search) -> list[Part]:
        """Return the parts of a query that are no filters by one parameter."""
        parts = [await self._referred(query, one, search) for one in query.reverses]
        for ids in query.lists:
            parts.append(await _in_lists(ids, query.types, search))
        for text in query.expressions:
            parts.append(await self._expression(query, filtering.parse_filter(text), search))
        return parts

    def _updated(self, one: Filter, index: Index) -> Part:
        if one.modifier:
            raise unsupported(one)
        where = any_of(*(stored.updated(one, value, index.setting.now) for value in one.values))
        return Part(Condition(where), on_each(matcher(replace(one, per_type=()), self.parameters, index.setting)))

    def _on_moment(self, query: SearchQuery, one: Filter, index: Index) -> Condition | None:
        if index.contained or len(query.types) != 1 or one.parameter.type != "date":
            return None
        if one.parameter.code != self.indexer.principal_date(query.types[0]):
            return None
        return on_moment(one, index)

    def _pairs(self, query: SearchQuery, filters: list[Filter], index: Index) -> tuple[list[Criterion], list[Filter]]:
        """Replace a patient filter and a code filter by the terms that stand for both."""
        if len(query.types) != 1:
            return [], filters
        subject, others = self.indexer.pair(query.types[0])
        patients = [f for f in filters if f.parameter.index_name == subject and f.modifier in ("", "Patient")]
        codes = [f for f in filters if f.parameter.index_name in others and not f.modifier]
        if not codes or len(patients) != 1 or patients[0].chain:
            return [], filters
        keys = [k for v in patients[0].values for k in reference_keys(patients[0], v, index.setting.base_url)]
        keys = [k for k in keys if not is_id(k)]
        if not keys or not all(k.startswith("Patient/") for k in keys):
            return [], filters
        one = codes[0]
        asks = [asked(one, asked_token, value) for value in one.values]
        texts = [form for ask in asks for form in forms(one.parameter, ask)]
        if len(keys) * len(texts) > MAX_PAIRS or not all(code for _, code in asks):
            return [], filters
        head = f"{subject}+{one.parameter.index_name}{SEPARATOR}"
        terms = tuple(index.term(f"{head}{k}{SEPARATOR}{text}") for k in keys for text in texts)
        return [Term(terms)], [f for f in filters if f is not patients[0] and f is not one]

    async def _with_codes(self, one: Filter, search: Search, index: Index) -> Index:
        """Return the index with the codes of the value sets or concepts that a filter names, by its values."""
        if one.modifier not in _SETS or one.parameter.type != "token" or index.setting.codes:
            return index
        codes = {value: await _expanded(one, value, search) for value in one.values}
        return replace(index, setting=replace(index.setting, codes=codes))

    async def of_contained(self, query: SearchQuery, search: Search) -> Test:
        """Return the test of a contained resource by itself."""
        index = self._index(search, within=True)
        return all_tests([(await self._part(query, one, search, index)).test for one in query.filters])

    async def _contained(self, query: SearchQuery, search: Search) -> Part:
        """Return the part that a contained resource meets the query. https://hl7.org/fhir/R4/search.html#contained"""
        if query.reverses or query.lists or query.expressions:
            text = "_contained goes with parameters of the contained resource, not with _has, _list and _filter."
            raise InvalidRequest(issues=[Issue("not-supported", text, location="http._contained")])
        index = self._index(search, within=True)
        parts = []
        for one in query.filters:
            part = await self._part(query, one, search, index)
            # What is said of the container, or denied, says nothing of what it contains.
            if one.parameter.code in _BY_STORE or isinstance(part.condition.where, Not):
                part = Part(Condition(Everything(), exact=False), part.test)
            parts.append(part)
        whole = every(parts)
        kinds = index.texts((CONTAINED + t for t in query.types or sorted(self.parser.resource_types)), broad=True)
        where = all_of(*sorted((*flat(whole.condition.where), kinds), key=rank))
        return contained(Part(Condition(where, exact=False), whole.test), query.types)

    async def _expression(self, query: SearchQuery, node: filtering.Expression, search: Search) -> Part:
        """Return the part of a `_filter`."""
        match node:
            case filtering.And(parts):
                return every([await self._expression(query, p, search) for p in parts])
            case filtering.Or(parts):
                return some([await self._expression(query, p, search) for p in parts])
            case filtering.Not(part):
                return none(await self._expression(query, part, search))
            case filtering.Test():
                return await self._test(query, node, search)

    async def _test(self, query: SearchQuery, test: filtering.Test, search: Search) -> Part:
        if len(test.path) > 1 or test.path[0].qualifier or test.path[0].where is not None:
            return await self._path(query, test, search)
        code = test.path[0].code
        types = query.types or tuple(sorted(self.parser.resource_types))
        parameters = [p for p in (self.parameters.of(t).get(code) for t in types) if p is not None]
        if len(parameters) < len(types):
            raise _at(test, f"{code} is not a search parameter here")
        rows = [await self._compared(query, test, p, search) for p in parameters]
        return rows[0] if len(rows) == 1 else some(rows)

    async def _compared(self, query: SearchQuery, test: filtering.Test, parameter: Parameter, search: Search) -> Part:
        try:
            same = filtering.as_filter(test, parameter)
            one = same or filtering.wider_filter(test, parameter)
            index = await self._with_codes(one, search, self._index(search))
            part = await self._part(replace(query, types=(parameter.resource_type,)), one, search, index)
            holds = matcher_of(test, parameter, self.parameters, index.setting)
        except InvalidRequest as refusal:
            raise filtering.located(refusal, test) from None
        kind = parameter.resource_type
        exact = part.condition.exact and same is not None
        truth = on_each(lambda resource: resource["resourceType"] == kind and holds(resource))
        return Part(Condition(part.condition.where, exact), truth)

    async def _path(self, query: SearchQuery, test: filtering.Test, search: Search) -> Part:
        """Return the part of a path of several names: a chain or `_has`, with what brackets ask of what is linked."""
        step, rest = test.path[0], test.path[1:]
        if step.code == "_has":
            return await self._path_back(query, test, search)
        parameter = self.parameters.of(query.types[0]).get(step.code) if len(query.types) == 1 else None
        if parameter is None or parameter.type != "reference" or not parameter.ready:
            raise _at(test, f"{step.code} is no reference of what is searched for")
        if not rest:
            raise _at(test, f"{step.code} needs the name of what is compared after it")

        async def inner(target: str) -> Plan | None:
            if rest[0].code != "_has" and rest[0].code not in self.parameters.of(target):
                return None
            asked_of: list[filtering.Expression] = [replace(test, path=rest)]
            return await self._linked(target, asked_of + ([step.where] if step.where is not None else []), search)

        one = Filter(parameter, step.qualifier, ("_",), ".".join(s.code for s in rest))
        index = self._index(search)
        return await to_matching(one, _targets(one), inner, index, search.following)

    async def _path_back(self, query: SearchQuery, test: filtering.Test, search: Search) -> Part:
        step, rest = test.path[0], test.path[1:]
        source, _, names = step.qualifier.partition(":")
        code, _, last = names.partition(":")
        reference = self.parameters.of(source).get(code) if source in self.parser.resource_types else None
        if reference is None or reference.type != "reference" or not last:
            raise _at(test, "_has is written _has:Observation:patient:code")
        inner = replace(test, path=(filtering.Step(*_named(last), step.where), *rest))

        async def narrowed(keys: Sequence[str]) -> Plan:
            linked = (Filter(reference, "", tuple(keys)),) if keys else ()
            return await self._linked(source, [inner], search, linked)

        term = self.indexer.hash_of(search.tenant)
        return await from_matching(source, reference, query.types, narrowed, term, search.following, filtering.LOCATION)

    async def _linked(
        self, resource_type: str, nodes: Sequence[filtering.Expression], search: Search, filters: Sequence[Filter] = ()
    ) -> Plan:
        """Return the plan of what is linked: filters and expressions, all of them."""
        query = SearchQuery((resource_type,), filters=tuple(filters))
        plan = await self.plan(query, search)
        parts = [await self._expression(query, node, search) for node in nodes]
        wheres = sorted((*flat(plan.where), *(w for p in parts for w in flat(p.condition.where))), key=rank)
        tests = [t for t in (plan.test, *(p.residual for p in parts)) if t is not None]
        return Plan(all_of(*wheres), all_tests(tests) if tests else None)


def _followed(one: Filter, made: Part | None) -> Filter:
    """Return a chain that has been followed to a few resources as the filter for references to them."""
    if made is None or not 0 < len(made.keys) <= MAX_PAIRS:
        return one
    return Filter(one.parameter, "", made.keys, "", one.per_type)


def _named(text: str) -> tuple[str, str]:
    code, _, qualifier = text.partition(":")
    return code, qualifier


def _targets(one: Filter) -> list[str]:
    narrowed = one.modifier or one.parameter.target_type
    if one.parameter.type != "reference":
        raise InvalidRequest(f"{one.parameter.code} is no reference and cannot be chained.", location=one.location)
    if one.modifier:
        if one.modifier not in r4().resource_types:
            raise unsupported(one)
        check_target(one)
    found = [narrowed] if narrowed else [t for p in one.per_type or (one.parameter,) for t in p.targets]
    return list(dict.fromkeys(found))


def _at(test: filtering.Test, text: str) -> InvalidRequest:
    return InvalidRequest(f"_filter, at character {test.position + 1}: {text}.", location=filtering.LOCATION)


async def _expanded(one: Filter, value: str, search: Search) -> Codes:
    if one.modifier in ("in", "not-in"):
        expansion = await search.terminology.expand(search.library, unescape(value))
        return frozenset((c.system, c.code) for c in expansion.concepts) | {(s, "") for s in expansion.systems}
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 2 or not all(parts):
        raise InvalidRequest(f"{one.parameter.code}:{one.modifier} must be system|code.", location=one.location)
    related = search.terminology.below if one.modifier == "below" else search.terminology.above
    return frozenset((parts[0], code) for code in await related(search.library, parts[0], parts[1]))


async def _in_lists(ids: Sequence[str], types: Sequence[str], search: Search) -> Part:
    """Return the part of being an item of one of these Lists. https://hl7.org/fhir/R4/search.html#list"""
    for one in ids:
        if one.startswith("$"):
            text = f"_list: the functional list {one[:64]} is not supported; ask for a List by its id."
            raise InvalidRequest(issues=[Issue("not-supported", text, location="http._list")])
        if not is_id(one):
            raise InvalidRequest("_list must be the id of a List.", location="http._list")
    found = await search.records.read_many([f"List/{one}" for one in ids])
    lists = [decode_stored(r.raw) for r in found.values() if not r.deleted]
    literals = (
        entry.get("item", {}).get("reference", "")
        for one in lists
        for entry in one.get("entry", ())
        if not entry.get("deleted")
    )
    keys = frozenset(literal.removeprefix(search.base_url + "/").partition("/_history/")[0] for literal in literals)

    def holds(resource: Json) -> bool:
        return key_of(resource) in keys

    wanted = tuple(sorted(k for k in keys if not types or k.partition("/")[0] in types))
    return Part(Condition(Key(wanted) if wanted else Nothing()), on_each(holds))
