"""The filters of a value set that go along the hierarchy: a concept is below, above or beside another.

https://hl7.org/fhir/R4/valueset-filter-operator.html; `child-of` and `descendent-leaf` are of R5. In a stored system
what is below a concept is known as spans, and so nothing has to be walked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terminology import spans
from terminology.codesystem import CodeSystem, Node
from terminology.spans import Spans
from terminology.stored import StoredCodeSystem, StoredNode

Test = Callable[[Node], bool]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"


@dataclass(frozen=True, slots=True)
class Relation:
    """What a filter along the hierarchy says: a test and, in a stored system, a set that holds all that pass it.

    `is_exact` is whether everything in the set passes.
    """

    test: Test
    spans: Callable[[], Spans] | None = None
    is_exact: bool = True


def relation(name: str, operator: str, value: str, system: CodeSystem) -> Relation | None:
    """Return what a filter says along the hierarchy, or None where it is about something else.

    Its members may raise NotFetched, and so does this.
    """
    if name in ("concept", "code"):
        wanted = operator
    elif operator == "=" and name == "ancestor":
        wanted = "descendent-of"
    elif isinstance(system, StoredCodeSystem) and operator == "=":
        # https://hl7.org/fhir/R4/loinc.html
        wanted = {"parent": "child-of", "child": "parent-of"}.get(name, "")
    else:
        return None
    if isinstance(system, StoredCodeSystem):
        made = _STORED.get(wanted)
        return None if made is None else made(system, system.get(value))
    walk = _WALKS.get(wanted)
    return None if walk is None else Relation(walk(system, value))


def _is_a(system: CodeSystem, value: str) -> Test:
    codes = system.descendants(value) | {value}
    return lambda node: node.code in codes or system.get(value) is node


def _descendent_of(system: CodeSystem, value: str) -> Test:
    codes = system.descendants(value)
    return lambda node: node.code in codes


def _is_not_a(system: CodeSystem, value: str) -> Test:
    inside = _is_a(system, value)
    return lambda node: not inside(node)


def _generalizes(system: CodeSystem, value: str) -> Test:
    codes = system.ancestors(value)
    return lambda node: node.code in codes or system.get(value) is node


def _child_of(system: CodeSystem, value: str) -> Test:
    parent = system.get(value)
    codes = frozenset(parent.children) if parent else frozenset()
    return lambda node: node.code in codes


def _leaf(system: CodeSystem, value: str) -> Test:
    below = _descendent_of(system, value)
    return lambda node: not node.children and below(node)


_WALKS: dict[str, Callable[[CodeSystem, str], Test]] = {
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
    "child-of": _child_of,
    "descendent-leaf": _leaf,
}


def _within(found: Spans) -> Relation:
    return Relation(lambda node: isinstance(node, StoredNode) and spans.holds(found, node.ordinal), lambda: found)


def _own(node: StoredNode | None) -> Spans:
    return () if node is None else ((node.ordinal, node.ordinal),)


def _stored_is_a(_: StoredCodeSystem, node: StoredNode | None) -> Relation:
    return _within(() if node is None else spans.joined((*_own(node), *node.below)))


def _stored_descendent_of(_: StoredCodeSystem, node: StoredNode | None) -> Relation:
    return _within(() if node is None else node.below)


def _stored_is_not_a(system: StoredCodeSystem, node: StoredNode | None) -> Relation:
    inside = () if node is None else spans.joined((*_own(node), *node.below))
    return _within(spans.without(system.everything, inside))


def _stored_generalizes(system: StoredCodeSystem, node: StoredNode | None) -> Relation:
    def test(other: Node) -> bool:
        return node is not None and (other.code == node.code or _is_above(other, node))

    def above() -> Spans:
        found = [system.get(c) for c in system.ancestors(node.code)] if node is not None else []
        return spans.joined((*_own(node), *((n.ordinal, n.ordinal) for n in found if n is not None)))

    return Relation(test, above)


def _is_above(other: Node, node: StoredNode) -> bool:
    return isinstance(other, StoredNode) and spans.holds(other.below, node.ordinal)


def _stored_child_of(system: StoredCodeSystem, node: StoredNode | None) -> Relation:
    if node is None:
        return _within(())
    return Relation(lambda other: node.code in other.parents, lambda: system.children_spans(node))


def _stored_parent_of(system: StoredCodeSystem, node: StoredNode | None) -> Relation:
    def above() -> Spans:
        parents = node.parents if node is not None else ()
        system.need(parents)
        return spans.of_ordinals(n.ordinal for n in map(system.get, parents) if n is not None)

    return Relation(lambda other: node is not None and other.code in node.parents, above)


def _stored_leaf(_: StoredCodeSystem, node: StoredNode | None) -> Relation:
    below = () if node is None else node.below

    def test(other: Node) -> bool:
        return isinstance(other, StoredNode) and not other.below and spans.holds(below, other.ordinal)

    return Relation(test, lambda: below, is_exact=False)


_STORED: dict[str, Callable[[StoredCodeSystem, StoredNode | None], Relation]] = {
    "is-a": _stored_is_a,
    "descendent-of": _stored_descendent_of,
    "is-not-a": _stored_is_not_a,
    "generalizes": _stored_generalizes,
    "child-of": _stored_child_of,
    "parent-of": _stored_parent_of,
    "descendent-leaf": _stored_leaf,
}
