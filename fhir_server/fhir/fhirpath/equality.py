"""Equals, equivalent, less than; and a key for telling equal nodes in one look. https://hl7.org/fhirpath/N1/#equality"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any

from fhir_server.fhir.fhirpath import quantities, temporal
from fhir_server.fhir.fhirpath.arithmetic import is_sane, rounded_alike
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import CHARACTERS_PER_STEP
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    Collection,
    Node,
)
from fhir_server.fhir.fhirpath.singletons import number, quantity
from fhir_server.fhir.fhirpath.temporal import Temporal
from fhir_server.fhir.fhirpath.types import system_type
from fhir_server.fhir.fhirpath.units import CALENDAR

_NUMBERS = frozenset({INTEGER, DECIMAL})
_TEMPORALS = frozenset({DATE, DATETIME, TIME})


def equal(left: Collection, right: Collection) -> bool | None:
    """Return whether the collections are equal item by item; None if either is empty or a precision leaves it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return node_equal(left[0], right[0])
    answers = {node_equal(first, second) for first, second in zip(left, right, strict=True)}
    return False if False in answers else None if None in answers else True


def node_equal(left: Node, right: Node) -> bool | None:
    """Return whether two nodes are equal, None if their precisions do not tell."""
    first, second = system_type(left), system_type(right)
    if left.value is None or right.value is None:
        return left.value is right.value and left.element == right.element
    if first == second and first in (STRING, BOOLEAN):
        return bool(left.value == right.value)
    if first is None and second is None:
        return left.value is right.value or identity(left) == identity(right)
    if first in _NUMBERS and second in _NUMBERS:
        return bool(left.value == right.value)
    if first in _TEMPORALS and second in _TEMPORALS:
        return _temporals_equal(left, right)
    if QUANTITY in (first, second):
        return _quantities_equal(left, right)
    return False


def _temporals_equal(left: Node, right: Node) -> bool | None:
    first, second = temporal_of(left), temporal_of(right)
    if first is None or second is None:
        return bool(left.value == right.value)
    if (first.kind == TIME) != (second.kind == TIME):
        return False
    order = temporal.compare(first, second)
    return None if order is None else order == 0


def _quantities_equal(left: Node, right: Node) -> bool | None:
    first, second = quantity(left), quantity(right)
    if first is None or second is None:
        return left.type == right.type and identity(left) == identity(right)
    order = quantities.compare(first, second)
    if order is None and _is_calendar(first.unit) != _is_calendar(second.unit):
        return None if quantities.is_equivalent(first, second) else False
    return order == 0


def _is_calendar(unit: str) -> bool:
    return CALENDAR.get(unit) in ("year", "month")


def temporal_of(node: Node) -> Temporal | None:
    """Return the node's date or time, None if it has none that can be read."""
    kind = system_type(node) or ""
    if kind not in _TEMPORALS or type(node.value) is not str:
        return None
    return temporal.parse(node.value, kind)


def equivalent(left: Collection, right: Collection) -> bool:
    """Return whether the collections hold equivalent items, in any order."""
    if len(left) != len(right):
        return False
    rest = list(right)
    for node in left:
        match = next((i for i, other in enumerate(rest) if node_equivalent(node, other)), None)
        if match is None:
            return False
        del rest[match]
    return True


def node_equivalent(left: Node, right: Node) -> bool:
    """Return whether two nodes are equivalent: text without case and spacing, numbers at the lesser precision."""
    first, second = system_type(left), system_type(right)
    if left.value is None or right.value is None:
        return left.value is right.value and left.element == right.element
    if first == second == STRING:
        return _plain(left.value) == _plain(right.value)
    if first in _NUMBERS and second in _NUMBERS:
        return _numbers_equivalent(left, right)
    if QUANTITY in (first, second):
        one, other = quantity(left), quantity(right)
        if one is not None and other is not None:
            return quantities.is_equivalent(one, other)
    if (first is None and second is None) or QUANTITY in (first, second):
        return _loose(left.value) == _loose(right.value)
    return node_equal(left, right) is True


def _numbers_equivalent(left: Node, right: Node) -> bool:
    one, other = number(left), number(right)
    if one is None or other is None:
        return False
    first, second = Decimal(one), Decimal(other)
    return first == second or (is_sane(first) and is_sane(second) and rounded_alike(first, second))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def order(left: Node, right: Node) -> int | None:
    """Return -1, 0 or 1, None if the precisions or units do not tell.

    Raises FhirPathEvaluationError for values that have no order, or not with each other.
    """
    first, second = system_type(left), system_type(right)
    if left.value is None or right.value is None:
        return None
    if (first in _NUMBERS and second in _NUMBERS) or first == second == STRING:
        return int(left.value > right.value) - int(left.value < right.value)
    if first in _TEMPORALS and second in _TEMPORALS and (first == TIME) == (second == TIME):
        one, other = temporal_of(left), temporal_of(right)
        return None if one is None or other is None else temporal.compare(one, other)
    if QUANTITY in (first, second) and {first, second} <= _NUMBERS | {QUANTITY}:
        this, that = quantity(left), quantity(right)
        return None if this is None or that is None else quantities.compare(this, that)
    raise FhirPathEvaluationError(f"{left.type} and {right.type} cannot be compared")


def identity(node: Node) -> Hashable:
    """Return a key that two nodes share exactly if they are equal."""
    kind = system_type(node)
    value = node.value
    if value is None:
        return ("element", _frozen(node.element))
    if kind == STRING:
        return ("string", value)
    if kind in _TEMPORALS:
        known = temporal_of(node)
        return temporal.identity(known) if known else ("date", value)
    amount = quantity(node) if kind == QUANTITY else None
    return quantities.identity(amount) if amount is not None else _frozen(value)


def weight(nodes: Collection) -> int:
    """Return what it costs to tell the nodes from others: what is in them, and the length of their texts."""
    return sum(_weight(node.value) for node in nodes)


def _weight(value: Any) -> int:
    if type(value) is str:
        return 1 + len(value) // CHARACTERS_PER_STEP
    if type(value) is dict:
        return 1 + sum(map(_weight, value.values()))
    return 1 + sum(map(_weight, value)) if type(value) is list else 1


def distinct_nodes(nodes: Collection) -> Collection:
    """Return the nodes without repetitions, the first of each where it was."""
    found: dict[Hashable, Node] = {}
    for node in nodes:
        found.setdefault(identity(node), node)
    return list(found.values())


def _frozen(value: Any) -> Hashable:
    if type(value) is dict:
        return frozenset((key, _frozen(item)) for key, item in value.items())
    if type(value) is list:
        return tuple(map(_frozen, value))
    return ("boolean", value) if type(value) is bool else value


def _loose(value: Any) -> Hashable:
    """Return a key of a complex value that ignores case, spacing and order."""
    if type(value) is dict:
        return frozenset((key, _loose(item)) for key, item in value.items())
    if type(value) is list:
        return tuple(sorted(map(_loose, value), key=repr))
    return _plain(value) if type(value) is str else ("boolean", value) if type(value) is bool else value
