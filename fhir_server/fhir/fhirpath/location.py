"""Paths that remember where in the JSON they went, for FHIRPath Patch. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from fhir_server.fhir.fhirpath.elements import is_primitive, resource_node, rows
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import Collection, Located, Location, Node
from fhir_server.fhir.fhirpath.singletons import text


def step(name: str) -> Callable[[Collection], Collection]:
    """Return the step to an element; its nodes are located where their parent is."""

    def run(focus: Collection) -> Collection:
        return [child for node in focus for child in _children(node, name)]

    return run


def _children(node: Node, name: str | None) -> list[Node]:
    """Return the children of a name, or all of them."""
    base: Location = node.location if isinstance(node, Located) else ()
    value, above = node.value, base
    if type(value) is not dict:  # a primitive: its children are in the parallel member
        value = node.element or {}
        above = (*base[:-1], f"_{base[-1]}") if base and isinstance(base[-1], str) else _beside(base)
    found: list[Node] = []
    for element, pairs in rows(node.type).items():
        if name is None or element == name:
            for key, own in pairs:
                found += _members(value, key, own, above)
    return found


def _beside(location: Location) -> Location:
    """Return where the ids and extensions of an item of a repeated primitive are: `_given`, 1 for `given`, 1."""
    return (*location[:-2], f"_{location[-2]}", location[-1]) if len(location) > 1 else location


def _members(value: dict[str, Any], key: str, own: str, above: Location) -> list[Node]:
    child, element = value.get(key), value.get("_" + key) if is_primitive(own) else None
    if type(child) is list or type(element) is list:
        rows_of = zip_longest(child if type(child) is list else (), element if type(element) is list else ())
        return [
            _located(item, own, beside, (*above, key, position))
            for position, (item, beside) in enumerate(rows_of)
            if item is not None or beside is not None
        ]
    if child is None and element is None:
        return []
    return [_located(child, own, element, (*above, key))]


def _located(value: Any, own: str, element: Any, where: Location) -> Node:
    if own in ("Resource", "DomainResource") and type(value) is dict:
        own = resource_node(value).type
    return Located(value, own, element, where)


def _all_children(frame: Frame, focus: Collection) -> Collection:
    found = [child for node in focus for child in _children(node, None)]
    frame.spend(len(found))
    return found


def _descendants(frame: Frame, focus: Collection) -> Collection:
    found: Collection = []
    while focus:
        focus = _all_children(frame, focus)
        found += focus
    return found


def _extension(frame: Frame, focus: Collection, url: Collection) -> Collection:
    wanted = text(url)
    found = [child for node in focus for child in _children(node, "extension")]
    return [node for node in found if type(node.value) is dict and node.value.get("url") == wanted]


FUNCTIONS: dict[str, Callable[..., Collection]] = {
    "children": _all_children,
    "descendants": _descendants,
    "extension": _extension,
}
