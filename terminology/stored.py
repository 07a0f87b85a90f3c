"""A code system whose concepts lie in the database: what is asked of it is fetched when it is needed.

See fhir_server.api.concepts. What was fetched is kept for the request, and the last of it for those to come: a load has
a key of its own and never changes, so nothing that was read under it ever gets wrong or reaches another tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from fhir_server.api import Concepts, StoredConcept, StoredSystem, words
from terminology import spans
from terminology.codesystem import CodeSystem, Node, flat
from terminology.failures import TooHard, canonical
from terminology.fetching import NotFetched, kept
from terminology.findings import Findings, hash_of
from terminology.spans import Spans

Json = dict[str, Any]
_T = TypeVar("_T")

MAX_DEPTH = 200
MAX_READ = 50_000  # concepts that one question may read at once


class StoredNode(Node):
    """A concept of a stored system; `below` are the spans of its descendants."""

    inactive: bool = False
    abstract: bool = False
    ordinal: int = 0
    below: Spans = ()

    @property
    def folded(self) -> str:
        """The words of the code and of every name, a space before each."""
        texts = (self.code, self.display, *(str(d.get("value", "")) for d in self.designations))
        return "".join(f" {word}" for text in texts for word in words(text))


_NOWHERE = object()


class StoredCodeSystem(CodeSystem):
    """A CodeSystem over the concepts of a stored one. `nodes` holds those that were fetched."""

    def __init__(self, system: StoredSystem, concepts: Concepts, findings: Findings) -> None:
        super().__init__(system.head)
        if self.content == "not-present":  # as publishers write it who do not put the concepts into the resource
            self.content = "complete"
        self.stored = system
        self.concepts = concepts
        self.findings = findings
        self._key = system.key  # of what is found; supplements make it another
        self._added: dict[str, list[Json]] = {}
        self._unknown: set[str] = set()
        self._folded_nodes: dict[str, str] = {}
        self._found: dict[Hashable, Any] = {}

    @property
    def count(self) -> int:
        """How many concepts there are."""
        return self.stored.count

    @property
    def has_content(self) -> bool:
        """Whether its concepts are here."""
        return True

    @property
    def everything(self) -> Spans:
        """The ordinals of all concepts."""
        return ((0, self.count - 1),) if self.count else ()

    def get(self, code: str) -> StoredNode | None:
        """Return the concept of a code. Raises NotFetched."""
        found = self.nodes.get(self._folded_nodes.get(code, code))
        if found is not None or code in self._unknown:
            assert found is None or isinstance(found, StoredNode)
            return found
        known = self.findings.get((self._key, code))
        if known is None:
            raise NotFetched(lambda: self.fetch([code]))
        return self._take(code, None if known is _NOWHERE else known)

    def need(self, codes: Iterable[str]) -> None:
        """Raise NotFetched unless all of these codes were fetched."""
        missing = [c for c in codes if c not in self.nodes and c not in self._unknown and c not in self._folded_nodes]
        if missing:
            raise NotFetched(lambda: self.fetch(missing))

    async def fetch(self, codes: Sequence[str]) -> None:
        """Fetch the concepts of codes."""
        wanted = [c for c in dict.fromkeys(codes) if c not in self.nodes and c not in self._unknown]
        unseen = []
        for code in wanted:
            known = self.findings.get((self._key, code))
            if known is None:
                unseen.append(code)
            else:
                self._take(code, None if known is _NOWHERE else known)
        found = await self.concepts.find(self.stored, unseen) if unseen else {}
        for code in unseen:
            concept = found.get(code)
            node = None if concept is None else self._node(concept)
            self._take(code, node)
            self.findings.keep((self._key, code), _NOWHERE if node is None else node)

    def _take(self, code: str, node: StoredNode | None) -> StoredNode | None:
        if node is None:
            self._unknown.add(code)
            return None
        self.nodes[node.code] = node
        if code != node.code:
            self._folded_nodes[code] = node.code
        return node

    async def read(self, wanted: Spans) -> list[StoredNode]:
        """Return the concepts with these ordinals; they are fetched then."""
        made = await self.unkept(wanted)
        self.nodes.update((node.code, node) for node in made)
        return made

    async def unkept(self, wanted: Spans) -> list[StoredNode]:
        """Return the concepts with these ordinals, which are not kept."""
        return [self._node(concept) for concept in await self.concepts.read(self.stored, wanted)]

    async def having(self, keys: Sequence[str], limit: int) -> list[StoredNode]:
        """Return concepts with one of these property keys and others, which are not kept. Raises TooCostly."""
        return [self._node(concept) for concept in await self.concepts.having(self.stored, keys, limit)]

    async def named(self, words: Sequence[str], limit: int) -> list[StoredNode]:
        """Return concepts with words that begin like these and others, which are not kept. Raises TooCostly."""
        return [self._node(concept) for concept in await self.concepts.named(self.stored, words, limit)]

    def selected(self, wanted: Spans) -> list[StoredNode]:
        """Return the concepts with these ordinals. Raises NotFetched, and TooHard for too many to hold."""
        if spans.size(wanted) > MAX_READ:
            raise TooHard(self.url)
        found: list[StoredNode] = self.known(("nodes", wanted), lambda: self.read(wanted), weight=None)
        return found

    def known(self, what: Hashable, find: Callable[[], Any], weight: int | None = 1) -> Any:
        """Return something that was found out about this system. Raises NotFetched with what finds it.

        It is remembered for others too, unless its weight is None.
        """
        if what in self._found:
            return self._found[what]
        shared = None if weight is None else self.findings.get((self._key, what))
        if shared is not None:
            return shared

        async def fetch() -> None:
            found = self._found[what] = await find()
            if weight is not None:
                size = len(found) // 10 if isinstance(found, tuple) else 0
                self.findings.keep((self._key, what), found, weight + size)

        raise NotFetched(fetch)

    def is_inactive(self, node: Node) -> bool:
        """Whether the concept is no longer to be used, as the load says or a supplement."""
        if isinstance(node, StoredNode) and node.inactive:
            return True
        return bool(self._added) and super().is_inactive(node)

    def is_abstract(self, node: Node) -> bool:
        """Whether the concept is not to be chosen, as the load says or a supplement."""
        if isinstance(node, StoredNode) and node.abstract:
            return True
        return bool(self._added) and super().is_abstract(node)

    def is_below(self, code: str, ancestor: str) -> bool:
        """Whether a code is a descendant of another. Raises NotFetched."""
        node, above = self.get(code), self.get(ancestor)
        return node is not None and above is not None and spans.holds(above.below, node.ordinal)

    def descendants(self, code: str) -> set[str]:
        """Return the codes below a code. Raises NotFetched, and TooHard for too many."""
        node = self.get(code)
        return set() if node is None else {n.code for n in self.selected(node.below)}

    def ancestors(self, code: str) -> set[str]:
        """Return the codes above a code. Raises NotFetched."""
        seen: set[str] = set()
        node = self.get(code)
        waiting = list(node.parents) if node is not None else []
        for _ in range(MAX_DEPTH):
            self.need(waiting)
            seen.update(waiting)
            above = (self.get(c) for c in waiting)
            waiting = [p for n in above if n is not None for p in n.parents if p not in seen]
            if not waiting:
                break
        return seen

    def parents_of(self, node: Node) -> Sequence[tuple[str, str]]:
        """Return the codes and names right above a concept. Raises NotFetched."""
        self.need(node.parents)
        return super().parents_of(node)

    def children_of(self, node: Node) -> Sequence[tuple[str, str]]:
        """Return the codes and names right below a concept. Raises NotFetched, and TooHard for too many."""
        return [(code, display) for _, code, display in self._children_known(node)]

    def children_spans(self, node: StoredNode) -> Spans:
        """Return the ordinals right below a concept. Raises NotFetched, and TooHard for too many."""
        return spans.of_ordinals(ordinal for ordinal, _, _ in self._children_known(node))

    def _children_known(self, node: Node) -> tuple[tuple[int, str, str], ...]:
        assert isinstance(node, StoredNode)
        if not node.below:
            return ()
        found: tuple[tuple[int, str, str], ...] = self.known(("children", node.code), lambda: self._children(node))
        return found

    async def _children(self, node: StoredNode) -> tuple[tuple[int, str, str], ...]:
        asked = StoredConcept(node.code, ordinal=node.ordinal)
        found = await self.concepts.children(self.stored, asked, MAX_READ)
        if len(found) >= MAX_READ:
            raise TooHard(self.url)
        return tuple((c.ordinal, c.code, c.display) for c in found)

    def supplemented(self, supplements: Iterable[Json]) -> StoredCodeSystem:
        """Return this system with the designations and properties that supplements add to its concepts."""
        rows = list(supplements)
        key = f"{self._key} {hash_of(rows)}"
        return kept(key, lambda: self._supplemented(rows, key))

    def _supplemented(self, supplements: Sequence[Json], key: str) -> StoredCodeSystem:
        made = StoredCodeSystem(self.stored, self.concepts, self.findings)
        made.head, made._key = self.head, key
        for supplement in supplements:
            made.supplements += (canonical(supplement.get("url", ""), supplement.get("version", "")),)
            made.head = {**made.head, "property": [*made.head.get("property", ()), *supplement.get("property", ())]}
            for row in flat(supplement.get("concept", ()), 0):
                made._added.setdefault(str(row.get("code", "")), []).append(row)
        return made

    def _node(self, concept: StoredConcept) -> StoredNode:
        node = StoredNode(
            concept.code,
            concept.display,
            concept.definition,
            concept.designations,
            concept.properties,
            concept.extensions,
            concept.parents,
            (),
            "",
            concept.inactive,
            concept.abstract,
            concept.ordinal,
            spans.of_pairs(concept.below),
        )
        for row in self._added.get(concept.code, ()):
            node.designations += tuple(row.get("designation", ()))
            node.properties += tuple(row.get("property", ()))
            node.extensions += tuple(row.get("extension", ()))
        return node
