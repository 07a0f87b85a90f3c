"""_include and _revinclude: what else a page carries. https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_server.api.criteria import Criterion, Nothing, Order, Position, Term
from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.references import local_reference
from fhir_server.search.linking import canonicals, local_references, names_of
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.query import Include, SearchQuery
from fhir_server.search.terms import SEPARATOR, TermHash
from fhir_server.search.values import reference_key

MAX_INCLUDED = 10_000
_FIRST = 100
_NEWEST = Order("moment", descending=True)


@dataclass(frozen=True, slots=True)
class Including:
    """Follows the includes of a query; everything is read with the caller's rights, so none shows what a search would
    not."""

    parameters: Parameters
    term: TermHash
    records: Reading
    base_url: str

    async def included(self, query: SearchQuery, found: Sequence[Stored]) -> list[Stored]:
        """Return what a page's resources refer to and what refers to them, each once, none of the page itself.

        What is included is followed further by the includes with `:iterate`, until nothing new comes. Raises TooCostly.
        """
        shown = {r.key for r in found}
        extra: dict[str, Stored] = {}
        forward, backward = query.includes, query.reverse_includes
        last = list(found)
        while last and (forward or backward):
            new = await self._step(forward, backward, last, shown | extra.keys())
            extra.update((r.key, r) for r in new)
            if len(extra) > MAX_INCLUDED:
                raise TooCostly(
                    f"More than {MAX_INCLUDED} resources would be included. Ask for fewer with _count.",
                    location="http._include",
                )
            last = new
            forward = tuple(i for i in forward if i.iterate)
            backward = tuple(i for i in backward if i.iterate)
        return list(extra.values())

    async def _step(
        self, forward: Sequence[Include], backward: Sequence[Include], found: Sequence[Stored], shown: set[str]
    ) -> list[Stored]:
        new: dict[str, Stored] = {}
        keys, defined = self._targets(forward, found)
        keys -= shown
        if keys:
            read = await self.records.read_many(sorted(keys))
            new.update({k: r for k, r in read.items() if not r.deleted})
        for where in self._defined(defined):
            named = {url for _, url in defined}
            for record in await self._all(where):
                if record.key not in shown and not named.isdisjoint(names_of(decode_stored(record.raw))):
                    new[record.key] = record
        for include in backward:
            where = self._referring(include, found)
            if isinstance(where, Nothing):
                continue
            for record in await self._all(where):
                if record.key not in shown and self._names_one(include, record, found):
                    new[record.key] = record
        return list(new.values())

    async def _all(self, where: Criterion) -> list[Stored]:
        """Return all that match: few as a rule, so that the first command is a small one."""
        found: list[Stored] = []
        after: Position | None = None
        limit = _FIRST
        while True:
            page = await self.records.search(where, _NEWEST, limit, after)
            found += page.records
            if len(found) > MAX_INCLUDED:
                raise TooCostly(
                    f"_revinclude finds more than {MAX_INCLUDED} resources. Ask for fewer with _count.",
                    location="http._revinclude",
                )
            if not page.more:
                return found
            after = Position(found[-1].moment, found[-1].key)
            limit = MAX_INCLUDED

    def _targets(self, includes: Sequence[Include], found: Sequence[Stored]) -> tuple[set[str], set[tuple[str, str]]]:
        """Return the keys and the (type, canonical URL) pairs that the includes name."""
        keys: set[str] = set()
        canonicals: set[tuple[str, str]] = set()
        for record in found:
            asked = [i for i in includes if i.source in ("", record.type)]
            if not asked:
                continue
            resource = decode_stored(record.raw)
            for include in asked:
                for parameter in self._asked(include, record.type):
                    for node in parameter.path.evaluate(resource):
                        if isinstance(node.value, dict):
                            keys.update(self._local(parameter, include, node.value.get("reference")))
                        elif isinstance(node.value, str):
                            kinds = (include.target,) if include.target else parameter.targets
                            canonicals.update((kind, node.value) for kind in kinds)
        return keys, canonicals

    def _asked(self, include: Include, resource_type: str) -> list[Parameter]:
        of_type = self.parameters.of(resource_type)
        if include.parameter:
            return [of_type[include.parameter]]
        return [p for p in of_type.values() if p.type == "reference" and p.expression]

    def _local(self, parameter: Parameter, include: Include, literal: object) -> Iterator[str]:
        local = local_reference(reference_key(literal, self.base_url)) if isinstance(literal, str) else None
        if local and include.target in ("", local[0]) and parameter.target_type in ("", local[0]):
            yield f"{local[0]}/{local[1]}"

    def _defined(self, canonicals: set[tuple[str, str]]) -> list[Criterion]:
        """Return the criterion of having one of the canonical URLs; of which version is not looked at."""
        texts = [
            self.parameters.of(kind)["url"].index_name + SEPARATOR + url.partition("|")[0]
            for kind, url in sorted(canonicals)
            if "url" in self.parameters.of(kind)
        ]
        return [Term(tuple(map(self.term, texts)))] if texts else []

    def _referring(self, include: Include, found: Sequence[Stored]) -> Criterion:
        """Return the criterion of referring to one of these; of canonical URLs the version is not looked at."""
        types = (include.source,) if include.source else self.parameters.types
        # An alias has the name of the other it is narrowed from.
        names = dict.fromkeys((p.index_name, p.target_type) for t in types for p in self._asked(include, t))
        referred = [(r.type, text) for r in found if include.target in ("", r.type) for text in self._named(r)]
        texts = (name + SEPARATOR + text for name, target in names for kind, text in referred if target in ("", kind))
        terms = tuple(dict.fromkeys(map(self.term, texts)))
        return Term(terms) if terms else Nothing()

    def _names_one(self, include: Include, record: Stored, found: Sequence[Stored]) -> bool:
        """Whether what was found by a canonical URL names one of these in its version, or in none."""
        urls = [r for r in found if "url" in self.parameters.of(r.type)]
        if not urls:
            return True
        resource = decode_stored(record.raw)
        wanted: set[str] = set()
        for one in urls:
            wanted |= names_of(decode_stored(one.raw))
        keys = {r.key for r in found}
        return any(
            not keys.isdisjoint(local_references(p, resource, self.base_url))
            or not wanted.isdisjoint(canonicals(p, resource))
            for p in self._asked(include, record.type)
        )

    def _named(self, record: Stored) -> Iterator[str]:
        """Yield what others refer to a resource by."""
        yield record.key
        if "url" in self.parameters.of(record.type):
            url = decode_stored(record.raw).get("url")
            if isinstance(url, str):
                yield url
