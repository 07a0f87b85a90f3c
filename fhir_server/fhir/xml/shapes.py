"""Which elements and attributes a type has in XML, and what they are in JSON. https://hl7.org/fhir/R4/xml.html

Made from the definitions when a type is first met and kept: what a reader and a writer ask of each element is one look
into a dict.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from fhir_server.fhir.definitions import Element, TypeDefinition, r4

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
# Between a namespace and a name, as expat is told to join them.
SEPARATOR = " "


# What an element holds. Plain numbers, for each element read or written is asked for its kind.
PRIMITIVE: Final = 0
COMPLEX: Final = 1
WRAPPED: Final = 2  # one element which is a resource: contained, Bundle.entry.resource
RESOURCE: Final = 3
NARRATIVE: Final = 4


@dataclass(frozen=True, slots=True)
class Child:
    """An element that may stand inside another. `order` is its place, shared by the types of a choice.

    `step` is its name in FHIRPath (`value`), `member` in JSON and XML (`valueQuantity`), `beside` that of its id and
    extensions in JSON.
    """

    step: str
    member: str
    beside: str
    kind: int
    type: str
    repeats: bool
    order: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A type. `children` by expanded XML name; `members` and their `orders` by JSON name, `_` names included.

    The orders also name the members that are no elements of XML: attributes and `resourceType`.
    """

    name: str
    attributes: tuple[str, ...]
    children: dict[str, Child]
    members: dict[str, Child]
    orders: dict[str, int]


@cache
def shape_of(name: str) -> Shape:
    """Return the shape of a type: of a resource, a data type or, by its path, a backbone element."""
    definition = r4().types[name]
    attributes = _attributes(name, definition)
    children: dict[str, Child] = {}
    orders = dict.fromkeys([a for a in attributes if a != "value"] or ("resourceType",), -1)
    for order, element in enumerate(definition.elements):
        if element.name in attributes:
            continue
        for member, child in _children(element, order):
            namespace = XHTML if child.kind == NARRATIVE else FHIR
            children[f"{namespace}{SEPARATOR}{member}"] = child
            orders[member] = order
            if child.kind in (PRIMITIVE, NARRATIVE):
                orders[child.beside] = order
    members = {child.member: child for child in children.values()}
    members |= {child.beside: child for child in children.values() if child.beside in orders}
    return Shape(name, attributes, children, members, orders)


@lru_cache(maxsize=1)
def any_resource() -> Shape:
    """Return the shape of what holds one resource: the document, `contained`, `Bundle.entry.resource`."""
    children = {
        f"{FHIR}{SEPARATOR}{name}": Child(name, name, "", RESOURCE, name, False, 0) for name in r4().resource_types
    }
    return Shape("Resource", (), children, {}, {})


def _attributes(name: str, definition: TypeDefinition) -> tuple[str, ...]:
    if definition.kind == "resource":
        return ()
    if definition.kind == "primitive":
        return ("id", "value")
    return ("id", "url") if name == "Extension" else ("id",)


def _children(element: Element, order: int) -> list[tuple[str, Child]]:
    rows = []
    for member, ref in element.json_names().items():
        child = Child(element.name, member, f"_{member}", _kind(ref.code), ref.code, element.repeats, order)
        rows.append((member, child))
    return rows


def _kind(code: str) -> int:
    if code == "xhtml":
        return NARRATIVE
    definition = r4().types[code]
    if definition.kind == "resource":
        return WRAPPED
    return PRIMITIVE if definition.kind == "primitive" else COMPLEX
