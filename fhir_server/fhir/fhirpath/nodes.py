"""The values expressions work on: a value with its type. https://hl7.org/fhirpath/N1/#models"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

Location = tuple[str | int, ...]


class Node(msgspec.Struct, frozen=True, gc=False):
    """One item of a collection.

    `value` is a dict (complex type), a str, int, bool or Decimal (primitive), a Quantity (`System.Quantity`), or None
    for a primitive that has only an id or extensions. Dates and times keep their text. `type` is a FHIR type name
    (`code`, `CodeableConcept`, `Observation.component`) or a qualified System type (`System.String`). `element` is the
    id and extensions of a primitive, which JSON keeps apart (`_birthDate`).
    """

    value: Any
    type: str
    element: dict[str, Any] | None = None


class Located(Node, frozen=True, gc=False):
    """A node that knows where in the JSON tree it came from."""

    location: Location = ()


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """A System.Quantity. `unit` is a UCUM code, or the word for a calendar duration (`month`, `days`)."""

    value: Decimal
    unit: str


Collection = list[Node]

BOOLEAN = "System.Boolean"
STRING = "System.String"
INTEGER = "System.Integer"
DECIMAL = "System.Decimal"
DATE = "System.Date"
DATETIME = "System.DateTime"
TIME = "System.Time"
QUANTITY = "System.Quantity"

# Shared results: collections are never changed once made.
EMPTY: Collection = []
TRUE: Collection = [Node(True, BOOLEAN)]
FALSE: Collection = [Node(False, BOOLEAN)]


def boolean(value: bool | None) -> Collection:
    """Return the collection of a truth value; None is empty."""
    if value is None:
        return EMPTY
    return TRUE if value else FALSE


def string(value: str) -> Collection:
    """Return the collection of one System.String."""
    return [Node(value, STRING)]


def integer(value: int) -> Collection:
    """Return the collection of one System.Integer."""
    return [Node(value, INTEGER)]
