"""From a node to its children: which JSON members an element may have, and of what type. https://hl7.org/fhir/R4/json.html"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from fhir_server.fhir.definitions import Element, r4
from fhir_server.fhir.fhirpath.nodes import STRING, Collection, Node
from fhir_server.fhir.fhirpath.types import system_types

Getter = Callable[[Node, Collection], None]
Rows = tuple[tuple[str, str], ...]

# What type() answers with; not FHIR types, but their members are read the same way.
_REFLECTION: dict[str, dict[str, Rows]] = {
    "System.SimpleTypeInfo": {name: ((name, STRING),) for name in ("namespace", "name", "baseType")},
    "System.ClassInfo": {name: ((name, STRING),) for name in ("namespace", "name", "baseType")},
}


@lru_cache(maxsize=2048)
def rows(type_name: str) -> Mapping[str, Rows]:
    """Return {element name: its (JSON member, type) pairs}; a choice has several pairs, the rest have one."""
    if type_name in _REFLECTION:
        return _REFLECTION[type_name]
    definition = r4().types.get(type_name)
    if definition is None:
        return {}
    return {element.name: _pairs(element) for element in definition.elements}


def _pairs(element: Element) -> Rows:
    return tuple((key, ref.code) for key, ref in element.json_names().items())


def is_primitive(type_name: str) -> bool:
    """Whether values of the type are plain JSON values rather than objects."""
    if type_name == STRING:
        return True
    definition = r4().types.get(type_name)
    return definition is not None and definition.kind == "primitive"


@lru_cache(maxsize=2048)
def children(type_name: str) -> Mapping[str, Getter]:
    """Return {element name: a function that appends a node's children of that name}."""
    getters = {name: _getter(pairs) for name, pairs in rows(type_name).items()}
    if is_primitive(type_name):
        getters["value"] = _own_value(system_types()[type_name])
    return getters


@lru_cache(maxsize=2048)
def members(type_name: str) -> Mapping[str, Getter]:
    """Return {JSON member: a function that appends the node's children under it}; for walking whole trees."""
    found: dict[str, Getter] = {}
    for pairs in rows(type_name).values():
        for key, own in pairs:
            found[key] = _getter(((key, own),))
            if is_primitive(own):
                found["_" + key] = _only_element(key, own)
    return found


def all_children(node: Node, out: Collection) -> None:
    """Append all the children of a node, in the order of the JSON."""
    value = node.value if type(node.value) is dict else node.element
    if value:
        known = members(node.type)
        for key in value:
            getter = known.get(key)
            if getter is not None:
                getter(node, out)


def resource_node(value: dict[str, Any]) -> Node:
    """Return a resource as a node of the type it says it is."""
    name = value.get("resourceType")
    return Node(value, name if type(name) is str and name in r4().resource_types else "Resource")


def _getter(pairs: Rows) -> Getter:
    if len(pairs) > 1:
        return _choice({key: _getter(((key, own),)) for key, own in pairs} | _only_elements(pairs))
    key, own = pairs[0]
    if own in ("Resource", "DomainResource"):
        return _resource(key)
    return _primitive(key, own) if is_primitive(own) else _complex(key, own)


def _only_elements(pairs: Rows) -> dict[str, Getter]:
    return {"_" + key: _only_element(key, own) for key, own in pairs if is_primitive(own)}


def _choice(getters: Mapping[str, Getter]) -> Getter:
    def get(node: Node, out: Collection) -> None:
        if type(node.value) is dict:
            for key in node.value:
                getter = getters.get(key)
                if getter is not None:
                    getter(node, out)

    return get


def _complex(key: str, own: str) -> Getter:
    def get(node: Node, out: Collection) -> None:
        value = node.value if type(node.value) is dict else node.element
        child = value.get(key) if value else None
        if type(child) is dict:
            out.append(Node(child, own))
        elif type(child) is list:
            out.extend([Node(item, own) for item in child if type(item) is dict])

    return get


def _resource(key: str) -> Getter:
    def get(node: Node, out: Collection) -> None:
        child = node.value.get(key) if type(node.value) is dict else None
        for item in child if type(child) is list else (child,):
            if type(item) is dict:
                out.append(resource_node(item))

    return get


def _primitive(key: str, own: str) -> Getter:
    sibling = "_" + key

    def get(node: Node, out: Collection) -> None:
        value = node.value if type(node.value) is dict else node.element
        if not value:
            return
        child, element = value.get(key), value.get(sibling)
        if type(child) is list or type(element) is list:
            out.extend(primitives(child, element, own))
        elif child is not None or element is not None:
            out.append(Node(child, own, element))

    return get


def primitives(values: Any, elements: Any, own: str) -> Collection:
    """Return the nodes of a repeated primitive and its parallel array of ids and extensions."""
    if type(elements) is not list:
        return [Node(item, own) for item in values if item is not None]
    pairs = zip_longest(values if type(values) is list else (), elements)
    return [Node(item, own, element) for item, element in pairs if item is not None or element is not None]


def _only_element(key: str, own: str) -> Getter:
    """Return a getter for a primitive that has no value: `_key` is there and `key` is not."""
    get_both = _primitive(key, own)

    def get(node: Node, out: Collection) -> None:
        if type(node.value) is dict and key not in node.value:
            get_both(node, out)

    return get


def _own_value(system: str) -> Getter:
    def get(node: Node, out: Collection) -> None:
        if node.value is not None:
            out.append(Node(node.value, system))

    return get
