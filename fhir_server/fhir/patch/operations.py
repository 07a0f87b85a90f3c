"""The five operations of a FHIRPath Patch, on the elements that the path leads to, in place.

https://hl7.org/fhir/R4/fhirpatch.html. Each raises Refused; the resource is then half changed and to be thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.outcomes import Json
from fhir_server.fhir.patch.edits import Slot, children_of, items_of, remove, set_items, set_single, slot_at
from fhir_server.fhir.patch.elements import Location, member_at, type_at
from fhir_server.fhir.patch.errors import Refused
from fhir_server.fhir.patch.values import add_child, value_for


def add(resource: Json, locations: Sequence[Location], name: str, value: Json) -> None:
    """Add what the parameter holds to the one element there, as its child of that name."""
    location = _one(locations)
    type_name = type_at(resource, location)
    add_child(children_of(resource, location), type_name, name, value, MAX_DEPTH - len(location) - 1)


def insert(resource: Json, locations: Sequence[Location], index: int, value: Json) -> None:
    """Insert what the parameter holds into the list, before the element that has the index now."""
    location = _list(resource, locations)
    parent, name, _ = slot_at(resource, location)
    items = items_of(parent, name)
    _check_index("index", index, len(items))
    content = value_for(member_at(resource, location).element, value, MAX_DEPTH - len(location) - 1).content
    items.insert(index, content)
    set_items(parent, name, items)


def delete(resource: Json, locations: Sequence[Location]) -> None:
    """Delete the one element there and what this leaves empty; that it is not there is no error."""
    if locations:
        location = _one(locations)
        _slot(resource, location)
        remove(resource, location)


def replace(resource: Json, locations: Sequence[Location], value: Json) -> None:
    """Put what the parameter holds in the place of the one element there, its id and extensions included."""
    location = _one(locations)
    parent, old, position = _slot(resource, location)
    name, content = value_for(member_at(resource, location).element, value, MAX_DEPTH - len(location))
    if position is None:
        set_single(parent, old, name, content)
        return
    items = items_of(parent, old)
    items[position] = content
    set_items(parent, old, items)


def move(resource: Json, locations: Sequence[Location], source: int, destination: int) -> None:
    """Take the element at `source` out of the list and put it back so that it has the index `destination`."""
    parent, name, _ = slot_at(resource, _list(resource, locations))
    items = items_of(parent, name)
    _check_index("source", source, len(items) - 1)
    _check_index("destination", destination, len(items) - 1)
    items.insert(destination, items.pop(source))
    set_items(parent, name, items)


def _one(locations: Sequence[Location]) -> Location:
    if not locations:
        raise Refused("not-found", "no element matches the path: add what it goes through first")
    if len(locations) > 1:
        raise Refused(
            "multiple-matches",
            f"{len(locations)} elements match the path, one is allowed: narrow it with an index or where()",
        )
    return locations[0]


def _list(resource: Json, locations: Sequence[Location]) -> Location:
    """Return the location of the list of which these are all the elements."""
    if not locations:
        raise Refused("not-found", "no element matches the path: to begin a list, use add")
    first = locations[0]
    if not first or not isinstance(first[-1], int):
        raise Refused("value", "the path does not lead to a list: use add, or replace")
    parent, name, _ = slot_at(resource, first)
    if set(locations) != {(*first[:-1], position) for position in range(len(items_of(parent, name)))}:
        raise Refused("value", "the path leads to less or more than one whole list: name it as in Patient.identifier")
    return first[:-1]


def _slot(resource: Json, location: Location) -> Slot:
    if not location:
        raise Refused("value", "the path leads to the resource itself: delete or update that instead")
    return slot_at(resource, location)


def _check_index(name: str, index: int, last: int) -> None:
    if not 0 <= index <= last:
        raise Refused("value", f"{name} is outside the list: use a number from 0 to {last}")
