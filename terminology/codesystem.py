"""A code system in memory: its concepts by code, their properties, and the hierarchy between them.

https://hl7.org/fhir/R4/codesystem.html. The hierarchy is what `concept.concept` nests and what the properties `parent`
and `child` say besides; a concept may have several parents, and a circle in wrong data ends where it began.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from fhir_server.api import property_text
from terminology.failures import Broken, canonical

Json = dict[str, Any]

STANDARD = "http://hl7.org/fhir/concept-properties#"
INACTIVE_STATUS = frozenset({"inactive", "retired"})
MAX_DEPTH = 100


class Node(msgspec.Struct, gc=False):
    """One concept. `parents` and `children` are codes, each once; `properties` are rows of the resource."""

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[Json, ...] = ()
    properties: tuple[Json, ...] = ()
    extensions: tuple[Json, ...] = ()
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    _words: str = ""

    @property
    def words(self) -> str:
        """The code and every name, to be searched in: in small letters."""
        if not self._words:
            texts = (self.code, self.display, *(str(d.get("value", "")) for d in self.designations))
            self._words = "\n".join(texts).casefold()
        return self._words

    def values(self, names: Container[str | None]) -> Iterator[Any]:
        """Yield the values of the properties with one of these codes."""
        for row in self.properties:
            if row.get("code") in names:
                yield property_value(row)

    def texts(self, names: Container[str | None]) -> Iterator[str]:
        """Yield the values of the properties with one of these codes, as a filter writes them."""
        return (property_text(row) for row in self.properties if row.get("code") in names)


def property_value(row: Json) -> Any:
    """Return the value[x] of a concept's property, or None."""
    return next((v for k, v in row.items() if k.startswith("value")), None)


class CodeSystem:
    """A CodeSystem resource made ready for questions. `head` is the resource without its concepts."""

    def __init__(self, resource: Json) -> None:
        self.head: Json = {k: v for k, v in resource.items() if k != "concept"}
        self.url: str = str(resource.get("url", ""))
        self.version: str = str(resource.get("version", ""))
        self.content: str = str(resource.get("content", "complete"))
        self.is_case_sensitive: bool = resource.get("caseSensitive") is not False
        self.supplements: tuple[str, ...] = ()
        self.nodes: dict[str, Node] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, str] | None = None
        self._read(resource.get("concept", ()), "", 0)
        self._link()

    @property
    def count(self) -> int:
        """How many concepts there are."""
        return len(self.nodes)

    @property
    def has_content(self) -> bool:
        """Whether its concepts are here, all of them or a part."""
        return bool(self.nodes) or self.content in ("complete", "fragment", "example")

    @property
    def is_partial(self) -> bool:
        """Whether a code that is not here may exist all the same."""
        return self.content in ("fragment", "example", "not-present")

    @property
    def subsumes_by_hierarchy(self) -> bool:
        """Whether a child is a kind of its parent, and not a part of it or merely filed under it."""
        return bool(self.head.get("hierarchyMeaning", "is-a") == "is-a")

    def get(self, code: str) -> Node | None:
        """Return the concept of a code, in any case of letters where the system does not mind."""
        found = self.nodes.get(code)
        if found is not None or self.is_case_sensitive:
            return found
        if self._folded is None:
            self._folded = {c.casefold(): c for c in self.nodes}
        known = self._folded.get(code.casefold())
        return None if known is None else self.nodes[known]

    def property_names(self, code: str) -> tuple[str, ...]:
        """Return the codes under which this system writes a property of the standard: by its URI, else by its name."""
        known = self._names.get(code)
        if known is None:
            rows = self.head.get("property", ())
            by_uri = [r["code"] for r in rows if r.get("uri") == STANDARD + code and "code" in r]
            known = self._names[code] = tuple(by_uri) or (code,)
        return known

    def is_inactive(self, node: Node) -> bool:
        """Whether the concept is no longer to be used."""
        if any(value in (True, "true") for value in node.values(self.property_names("inactive"))):
            return True
        return any(text in INACTIVE_STATUS for text in node.texts(self.property_names("status")))

    def is_abstract(self, node: Node) -> bool:
        """Whether the concept only groups others and is not to be chosen."""
        names = {*self.property_names("notSelectable"), *self.property_names("abstract")}
        return any(value in (True, "true") for value in node.values(names))

    def descendants(self, code: str) -> set[str]:
        """Return the codes below a code, itself left out."""
        return self._reach(code, "children")

    def ancestors(self, code: str) -> set[str]:
        """Return the codes above a code, itself left out."""
        return self._reach(code, "parents")

    def is_below(self, code: str, ancestor: str) -> bool:
        """Whether a code is a descendant of another."""
        return ancestor in self.ancestors(code)

    def parents_of(self, node: Node) -> Sequence[tuple[str, str]]:
        """Return the codes and names right above a concept."""
        found = map(self.get, node.parents)
        return [(parent.code, parent.display) for parent in found if parent is not None]

    def children_of(self, node: Node) -> Sequence[tuple[str, str]]:
        """Return the codes and names right below a concept."""
        found = map(self.get, node.children)
        return [(child.code, child.display) for child in found if child is not None]

    def supplemented(self, supplements: Iterable[Json]) -> CodeSystem:
        """Return this system with the designations and properties that supplements add to its concepts."""
        made = CodeSystem(self.head)
        made.nodes = {code: msgspec.structs.replace(node) for code, node in self.nodes.items()}
        for supplement in supplements:
            made.supplements += (canonical(supplement.get("url", ""), supplement.get("version", "")),)
            made.head = {**made.head, "property": [*made.head.get("property", ()), *supplement.get("property", ())]}
            for row in flat(supplement.get("concept", ()), 0):
                node = made.get(row.get("code", ""))
                if node is not None:
                    node._words = ""
                    node.designations += tuple(row.get("designation", ()))
                    node.properties += tuple(row.get("property", ()))
                    node.extensions += tuple(row.get("extension", ()))
        return made

    def _reach(self, code: str, direction: str) -> set[str]:
        seen: set[str] = set()
        start = self.get(code)
        waiting = [] if start is None else [start]
        while waiting:
            for other in getattr(waiting.pop(), direction):
                if other not in seen and other in self.nodes:
                    seen.add(other)
                    waiting.append(self.nodes[other])
        seen.discard("" if start is None else start.code)
        return seen

    def _read(self, rows: Iterable[Json], parent: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Broken(f"The concepts of {self.url} are nested deeper than {MAX_DEPTH} levels.", "CodeSystem.concept")
        for row in rows:
            code = str(row.get("code", ""))
            if code in self.nodes:
                continue
            self.nodes[code] = Node(
                code,
                row.get("display", ""),
                row.get("definition", ""),
                tuple(row.get("designation", ())),
                tuple(row.get("property", ())),
                tuple(row.get("extension", ())),
                (parent,) if parent else (),
                tuple(dict.fromkeys(str(c.get("code", "")) for c in row.get("concept", ()))),
            )
            self._read(row.get("concept", ()), code, depth + 1)

    def _link(self) -> None:
        """Add the hierarchy that is written in properties."""
        upward = {*self.property_names("parent"), "subsumedBy"}
        downward = self.property_names("child")
        pairs: dict[tuple[str, str], None] = {}
        for node in self.nodes.values():
            if node.properties:
                pairs.update(((parent, node.code), None) for parent in node.values(upward) if isinstance(parent, str))
                pairs.update(((node.code, child), None) for child in node.values(downward) if isinstance(child, str))
        known = [pair for pair in pairs if pair[0] in self.nodes and pair[1] in self.nodes]
        for code, parents in _grouped((below, above) for above, below in known).items():
            self.nodes[code].parents = tuple(dict.fromkeys((*self.nodes[code].parents, *parents)))
        for code, children in _grouped(known).items():
            self.nodes[code].children = tuple(dict.fromkeys((*self.nodes[code].children, *children)))


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for first, second in pairs:
        found.setdefault(first, []).append(second)
    return found


def flat(rows: Iterable[Json], depth: int) -> Iterator[Json]:
    """Yield concepts and those nested in them."""
    for row in rows if depth <= MAX_DEPTH else ():
        yield row
        yield from flat(row.get("concept", ()), depth + 1)
