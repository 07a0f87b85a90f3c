"""Changes at a location in the JSON of a resource, in place. https://hl7.org/fhir/R4/json.html#primitive

An element of a primitive type is two things in JSON: its value in `birthDate`, its id and extensions in `_birthDate`;
in a list the two arrays run in parallel, with null where one has nothing. Every change here treats them as one.
What becomes empty is removed, because FHIR has no empty elements.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, NamedTuple

from fhir_server.fhir.outcomes import Json
from fhir_server.fhir.patch.elements import Location
from fhir_server.fhir.patch.errors import Refused


class Content(NamedTuple):
    """What an element holds: a value, and for a primitive also its id and extensions. Either may be None."""

    value: Any
    sibling: Json | None = None


class Slot(NamedTuple):
    """Where an element is: the object that holds it, the member's name, and the position if it is in a list."""

    parent: Json
    name: str
    position: int | None


def slot_at(resource: Json, location: Location) -> Slot:
    """Return the slot of a location that is not the resource itself."""
    *path, name = location if isinstance(location[-1], str) else location[:-1]
    index = location[-1] if isinstance(location[-1], int) else None
    return Slot(_walk(resource, tuple(path)), str(name), index)


def has(parent: Json, name: str) -> bool:
    """Whether the object has the member, be it only its id and extensions."""
    return name in parent or f"_{name}" in parent


def items_of(parent: Json, name: str) -> list[Content]:
    """Return the elements of a list. Raises Refused where the resource has something else in its place."""
    values, siblings = parent.get(name, []), parent.get(f"_{name}", [])
    if not (isinstance(values, list) and isinstance(siblings, list)):
        raise Refused("structure", f"{name} is not an array in the resource, as it has to be")
    pairs = zip_longest(values, siblings)
    return [Content(value, sibling) for value, sibling in pairs]


def set_items(parent: Json, name: str, items: list[Content]) -> None:
    """Make these the elements of a list, which vanishes when there are none."""
    _set(parent, name, [item.value for item in items])
    _set(parent, f"_{name}", [item.sibling for item in items])


def set_single(parent: Json, old: str, new: str, content: Content) -> None:
    """Put the content where the member `old` is, under the name `new`; at the end if there is no such member."""
    fresh = {name: part for name, part in ((new, content.value), (f"_{new}", content.sibling)) if part is not None}
    members: Json = {}
    for name, value in parent.items():
        if name in (old, f"_{old}"):
            members.update(fresh)
        else:
            members[name] = value
    members.update(fresh)
    parent.clear()
    parent.update(members)


def children_of(resource: Json, location: Location) -> Json:
    """Return the object that holds the children of an element; those of a primitive are made room for."""
    if not location:
        return resource
    parent, name, index = slot_at(resource, location)
    if index is None:
        node = parent.get(name)
        if isinstance(node, dict):
            return node
        return _object(parent.setdefault(f"_{name}", {}))
    items = items_of(parent, name)
    value, sibling = items[index]
    if isinstance(value, dict):
        return value
    if sibling is None:
        sibling = {}
        items[index] = Content(value, sibling)
        set_items(parent, name, items)
    return _object(sibling)


def remove(resource: Json, location: Location) -> None:
    """Remove the element, then every element around it that this leaves empty, up to the resource."""
    while location:
        parent, name, index = slot_at(resource, location)
        if name.startswith("_"):
            _drop_sibling(parent, name[1:], index)
        elif index is None:
            parent.pop(name, None)
            parent.pop(f"_{name}", None)
        else:
            items = items_of(parent, name)
            del items[index]
            set_items(parent, name, items)
        if parent:
            return
        location = location[:-1] if index is None else location[:-2]


def _drop_sibling(parent: Json, name: str, index: int | None) -> None:
    """Remove the id and extensions of a primitive; a list element that has no value either goes with them."""
    if index is None:
        parent.pop(f"_{name}", None)
        return
    items = items_of(parent, name)
    if items[index].value is None:
        del items[index]
    else:
        items[index] = Content(items[index].value)
    set_items(parent, name, items)


def _set(parent: Json, name: str, parts: list[Any]) -> None:
    if any(part is not None for part in parts):
        parent[name] = parts
    else:
        parent.pop(name, None)


def _walk(resource: Json, path: Location) -> Json:
    node: Any = resource
    for step in path:
        node = node[step]
    return _object(node)


def _object(node: Any) -> Json:
    if not isinstance(node, dict):
        raise Refused("structure", "the path leads through a place where the resource has no object")
    return node
