"""A value set made ready for questions: what its includes and excludes hold. https://hl7.org/fhir/R4/valueset.html#compositions

Within one include, the system's list or filters and every imported value set must hold (an intersection); the includes
together are a union; excludes are taken away from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import msgspec

from terminology.codesystem import CodeSystem, Node
from terminology.failures import TerminologyError, TooHard
from terminology.relations import Test
from terminology.selecting import selection
from terminology.stored import StoredCodeSystem
from terminology.versions import order

Json = dict[str, Any]

MAX_EFFORT = 5_000_000  # steps, about a second of work
REGEX_EFFORT = 10  # steps that a regular expression takes with one code
_NOTHING: Json = {}  # what a value set says of a code it does not list: shared, never written to


class Entry(msgspec.Struct, gc=False):
    """A code of a value set, with what is known of it.

    `listed` is the row of the value set that names the code, which may give it another display and designations;
    `node` and `source` are missing where the value set lists codes of a system that is not here.
    """

    system: str
    version: str
    code: str
    listed: Json
    node: Node | None = None
    source: CodeSystem | None = None

    @property
    def display(self) -> str:
        """The name of the code: the value set's, or the code system's."""
        own: str = self.listed.get("display", "")
        return own or (self.node.display if self.node is not None else "")

    @property
    def words(self) -> str:
        """The code and every name, to be searched in: in small letters."""
        known = self.node.words if self.node is not None else self.code.casefold()
        if not self.listed:
            return known
        own = (self.display, *(str(d.get("value", "")) for d in self.listed.get("designation", ())))
        return "\n".join((known, *own)).casefold()

    @property
    def is_inactive(self) -> bool:
        """Whether the code is no longer to be used."""
        if self.node is None or self.source is None:
            return bool(self.listed.get("inactive"))
        return self.source.is_inactive(self.node)

    @property
    def is_abstract(self) -> bool:
        """Whether the code only groups others."""
        if self.node is None or self.source is None:
            return bool(self.listed.get("abstract"))
        return self.source.is_abstract(self.node)


@dataclass(frozen=True)
class Selection:
    """One include or exclude. `missing` is why its system's content cannot be looked at; raised when it must be.

    `version` is that of the code system which was found, `pinned` the one that the value set itself names.
    """

    system: str
    version: str
    source: CodeSystem | None
    listed: Mapping[str, Json] | None
    tests: tuple[Test, ...]
    imports: tuple[ValueSet, ...]
    missing: TerminologyError | None = None
    pinned: str = ""
    filters: tuple[Json, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it takes the whole of a system that has no content here."""
        unlimited = not self.tests and not self.imports and self.listed is None
        return bool(self.system) and self.missing is not None and unlimited

    @cached_property
    def size(self) -> int:
        """How many codes it holds at most."""
        if self.listed is not None:
            return len(self.listed)
        if self.system:
            return self.source.count if self.source is not None else 0
        return min(v.size for v in self.imports)

    @cached_property
    def find_effort(self) -> int:
        """How many steps it takes at most to find a code."""
        return 1 + effort_of(self.filters) + sum(v.find_effort for v in self.imports)

    @cached_property
    def effort(self) -> int:
        """How many steps it takes at most to go through all of it."""
        if not self.system:
            first, *others = self.imports
            return first.effort + first.size * sum(v.find_effort for v in others)
        return self.size * self.find_effort

    def entries(self, skipped: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """Yield what it holds, in the order of the code system or of its own list; see ValueSet.entries."""
        if not self.system:
            first, *others = self.imports
            found = first.entries() if others else first.entries(skipped)
            found = fetched(found, others)
            yield from (e for e in found if all(v.find(e.system, e.code) for v in others))
            return
        if self.system in skipped and self.is_open:
            return
        found = self._listed() if self.listed is not None else self._all()
        if not self.imports:
            yield from found
            return
        yield from (e for e in fetched(found, self.imports) if all(v.find(e.system, e.code) for v in self.imports))

    def find(self, system: str, code: str) -> Entry | None:
        """Return the entry of a code, or None where it is not held. An empty system means any."""
        if not self.system:
            first, *others = self.imports
            found = first.find(system, code)
            return found if found is not None and all(v.find(found.system, found.code) for v in others) else None
        if system not in (self.system, ""):
            return None
        found = self._find(code)
        return found if found is not None and all(v.find(self.system, found.code) for v in self.imports) else None

    def _listed(self) -> Iterator[Entry]:
        assert self.listed is not None
        if isinstance(self.source, StoredCodeSystem):
            self.source.need(self.listed)
        for code, row in self.listed.items():
            made = self._entry_of_list(code, row)
            if made is not None:
                yield made

    def _entry_of_list(self, code: str, row: Json) -> Entry | None:
        if self.source is None or not self.source.has_content:
            return Entry(self.system, self.version, code, row)
        node = self.source.get(code)
        if node is None:
            return Entry(self.system, self.version, code, row) if self.source.is_partial else None
        return self._made(node, row)

    def _all(self) -> Iterator[Entry]:
        if self.missing is not None:
            raise self.missing
        assert self.source is not None
        system, source, version, none = self.system, self.source, self.source.version, _NOTHING
        nodes: Iterable[Node]
        if isinstance(source, StoredCodeSystem):
            nodes = source.selected(selection(source, self.filters, self.tests))
        else:
            nodes = source.nodes.values()
            for test in self.tests:
                nodes = filter(test, nodes)
        for node in nodes:
            yield Entry(system, version, node.code, none, node, source)

    def _find(self, code: str) -> Entry | None:
        if self.listed is not None:
            row = self.listed.get(code)
            if row is not None:
                return self._entry_of_list(code, row)
            node = self.source.get(code) if self.source is not None and not self.source.is_case_sensitive else None
            row = None if node is None else self.listed.get(node.code)
            return None if node is None or row is None else self._made(node, row)
        if self.missing is not None:
            raise self.missing
        assert self.source is not None
        node = self.source.get(code)
        return self._made(node, {}) if node is not None and all(test(node) for test in self.tests) else None

    def _made(self, node: Node, row: Json) -> Entry:
        version = self.source.version if self.source is not None else self.version
        return Entry(self.system, version, node.code, row, node, self.source)


@dataclass(frozen=True)
class ValueSet:
    """A value set with all that it refers to. `stored` is its own expansion, used where the definition cannot be.

    `versions_match` is whether a code is the same in all versions of its system; None where nobody said.
    """

    resource: Json
    includes: tuple[Selection, ...]
    excludes: tuple[Selection, ...]
    with_inactive: bool
    stored: Mapping[tuple[str, str], Entry] | None = None
    versions_match: bool | None = None
    is_contained: bool = False

    @cached_property
    def size(self) -> int:
        """How many codes it holds at most."""
        return len(self.stored) if self.stored is not None else sum(i.size for i in self.includes)

    @cached_property
    def find_effort(self) -> int:
        """How many steps it takes at most to find a code."""
        return sum(s.find_effort for s in self.includes + self.excludes)

    @cached_property
    def effort(self) -> int:
        """How many steps it takes at most to go through all of it."""
        return sum(i.effort for i in self.includes) + self.size * sum(e.find_effort for e in self.excludes)

    @property
    def url(self) -> str:
        """The canonical URL."""
        return str(self.resource.get("url", ""))

    @property
    def version(self) -> str:
        """The version of the value set."""
        return str(self.resource.get("version", ""))

    def entries(self, skipped: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """Yield every code once. Raises Unknown or Contentless where a system it needs is not here, and TooHard.

        `skipped` are open systems that the caller knows to be held as a whole.
        """
        if self.effort > MAX_EFFORT:
            raise TooHard(self.url)
        if self.stored is not None:
            yield from self.stored.values()
            return
        left: Iterator[Entry] = chain.from_iterable(i.entries(skipped) for i in self.includes)
        if self.excludes or not self.with_inactive:
            left = _fetched(left, self.excludes)
            left = filter(self._is_left, left)
        if len(self.includes) == 1 and not self.includes[0].imports:
            yield from left
            return
        yield from self._joined(left) if self.versions_match else _once(left)

    def find(self, system: str, code: str) -> Entry | None:
        """Return the entry of a code, or None where the value set does not hold it. An empty system means any."""
        return next(self.matches(system, code), None)

    def matches(self, system: str, code: str) -> Iterator[Entry]:
        """Yield the entries of a code, one for each version of its system that the value set draws on.

        An include whose system is not here is only missed where no other include holds the code. Raises TooHard.
        """
        if self.find_effort > MAX_EFFORT:
            raise TooHard(self.url)
        if self.stored is not None:
            yield from (e for e in self.stored.values() if e.code == code and system in (e.system, ""))
            return
        missed: TerminologyError | None = None
        is_found = False
        for include in self.includes:
            try:
                entry = include.find(system, code)
            except TerminologyError as error:
                missed = missed or error
                continue
            if entry is not None and self._is_left(entry):
                is_found = True
                yield entry
        if missed is not None and not is_found:
            raise missed

    @cached_property
    def open_systems(self) -> frozenset[str]:
        """The systems that are included as a whole and have no content here, unless something is excluded."""
        if self.stored is not None or any(e.imports for e in self.excludes):
            return frozenset()
        found = {i.system for i in self.includes if i.is_open}
        for include in self.includes:
            if not include.system and len(include.imports) == 1:
                found |= include.imports[0].open_systems
        return frozenset(found - {e.system for e in self.excludes})

    async def prepare(self, system: str, code: str) -> None:
        """Fetch what is asked of stored code systems about a code; an empty system means any."""
        for source in self._stored_sources:
            if system in (source.url, ""):
                await source.fetch([code])

    @cached_property
    def _stored_sources(self) -> Sequence[StoredCodeSystem]:
        return _stored_sources(self.includes + self.excludes)

    @property
    def joins_versions(self) -> bool:
        """Whether a code of one version of a system stands for that code in the others."""
        return bool(self.versions_match) or any(self._reaches_across(e) for e in self.excludes)

    def _is_left(self, entry: Entry) -> bool:
        if not self.with_inactive and entry.is_inactive:
            return False
        return not any(self._takes_away(e, entry) for e in self.excludes)

    def _takes_away(self, exclude: Selection, entry: Entry) -> bool:
        if exclude.find(entry.system, entry.code) is None:
            return False
        return not exclude.pinned or exclude.pinned == entry.version or self._reaches_across(exclude)

    def _reaches_across(self, exclude: Selection) -> bool:
        """Whether an exclude of one version takes codes of other versions away.

        Where nobody said, it does if the value set includes nothing of its version: else it would mean nothing.
        """
        if self.versions_match is not None or not exclude.pinned:
            return bool(self.versions_match)
        return exclude.pinned not in {i.version for i in self.includes if i.system in (exclude.system, "")}

    def _joined(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Yield each code once, in its latest version."""
        found: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            key = (entry.system, entry.code)
            if key not in found or order(found[key].version) < order(entry.version):
                found[key] = entry
        yield from found.values()


def effort_of(filters: Iterable[Json]) -> int:
    """Return how many steps it takes to look at one code with the filters of an include."""
    return sum(REGEX_EFFORT if row.get("op") == "regex" else 1 for row in filters)


def fetched(entries: Iterator[Entry], value_sets: Iterable[ValueSet]) -> Iterator[Entry]:
    """Return the entries, to be looked for in value sets. Raises NotFetched with all that it takes, at once."""
    return _fetched(entries, (s for v in value_sets for s in v.includes + v.excludes))


def _fetched(entries: Iterator[Entry], selections: Iterable[Selection]) -> Iterator[Entry]:
    sources = _stored_sources(selections)
    if not sources:
        return entries
    kept = list(entries)
    for source in sources:
        source.need([e.code for e in kept if e.system == source.url])
    return iter(kept)


def _stored_sources(selections: Iterable[Selection]) -> list[StoredCodeSystem]:
    """Return the stored code systems that includes and excludes draw on, those of their value sets too."""
    sources: dict[int, StoredCodeSystem] = {}
    waiting, seen = list(selections), set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one.source, StoredCodeSystem):
            sources[id(one.source)] = one.source
        for inner in one.imports:
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting += inner.includes + inner.excludes
    return list(sources.values())


def _once(entries: Iterator[Entry]) -> Iterator[Entry]:
    seen: set[tuple[str, str, str]] = set()
    for entry in entries:
        key = (entry.system, entry.version, entry.code)
        if key not in seen:
            seen.add(key)
            yield entry
