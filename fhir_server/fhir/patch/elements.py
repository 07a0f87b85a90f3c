"""What the definitions say about a place in a resource. https://hl7.org/fhir/R4/json.html

A location is the path of JSON members and indexes to an element, as in ("name", 0, "given", 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.fhir.definitions import Element, r4
from fhir_server.fhir.outcomes import Json
from fhir_server.fhir.patch.errors import Refused

Location = tuple[str | int, ...]


class Member(NamedTuple):
    """An element as JSON names it: `valueQuantity` of the element `value` with the type Quantity."""

    element: Element
    type: str


def members(type_name: str) -> Mapping[str, Member]:
    """Return the elements of a type by JSON member name; those of a primitive are its id and extensions."""
    return _members("Element" if is_primitive(type_name) else type_name)


@lru_cache(maxsize=1_024)
def _members(type_name: str) -> Mapping[str, Member]:
    return {
        name: Member(element, ref.code)
        for element in r4().types[type_name].elements
        for name, ref in element.json_names().items()
    }


def element_named(type_name: str, name: str) -> Element:
    """Return the element that a patch calls by its own name (`value`) or by a JSON member's (`valueQuantity`)."""
    by_name = members(type_name)
    if name in by_name:
        return by_name[name].element
    for member in by_name.values():
        if member.element.name == name:
            return member.element
    raise Refused("value", f"{type_name} has no element of that name: it has {_listed(by_name)}")


def type_at(resource: Json, location: Location) -> str:
    """Return the type of the element at the location: `HumanName`, `string`, `Patient.contact`."""
    node: Any = resource
    type_name = resource_type(resource)
    for step in location:
        if isinstance(step, int):
            node = node[step] if isinstance(node, list) and step < len(node) else None
        else:
            type_name = "Element" if step.startswith("_") else _member(type_name, step).type
            node = node.get(step) if isinstance(node, dict) else None
        if is_resource(type_name) and isinstance(node, dict):
            type_name = resource_type(node)
    return type_name


def member_at(resource: Json, location: Location) -> Member:
    """Return what the definitions say of the last named member of the location."""
    last = max(depth for depth, step in enumerate(location) if isinstance(step, str))
    return _member(type_at(resource, location[:last]), str(location[last]))


def is_resource(type_name: str) -> bool:
    """Whether the type is a resource type, abstract ones included."""
    return r4().types[type_name].kind == "resource"


def is_primitive(type_name: str) -> bool:
    """Whether JSON writes the type as a value with its id and extensions in a member of their own."""
    return r4().types[type_name].kind == "primitive"


def _member(type_name: str, name: str) -> Member:
    found = members(type_name).get(name)
    if found is None:
        raise Refused("value", f"the path leads through a member that {type_name} does not have")
    return found


def resource_type(resource: Json) -> str:
    """Return the resource's type. Raises Refused if it is not one of R4's."""
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in r4().resource_types:
        raise Refused("value", "the resource has no resourceType that FHIR R4 knows")
    return name


def _listed(by_name: Mapping[str, Member]) -> str:
    return ", ".join(dict.fromkeys(member.element.name for member in by_name.values()))
