"""Precision and boundaries of decimals, dates, times and quantities. https://hl7.org/fhirpath/#utility-functions

Newer than N1; date and time precisions are counted in digits (a year has 4, a date-time with milliseconds 17).
"""

from __future__ import annotations

import calendar
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from fhir_server.fhir.fhirpath import temporal, units
from fhir_server.fhir.fhirpath.arithmetic import is_sane
from fhir_server.fhir.fhirpath.equality import temporal_of
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import (
    DATETIME,
    DECIMAL,
    EMPTY,
    QUANTITY,
    TIME,
    Collection,
    Node,
    Quantity,
    boolean,
    integer,
)
from fhir_server.fhir.fhirpath.singletons import number, quantity, single, whole
from fhir_server.fhir.fhirpath.temporal import Part, Temporal

_MAX_DECIMALS = 31
_DEFAULT_DECIMALS = 8
# {digits: number of parts}
_DATE_PRECISIONS = {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6}
_TIME_PRECISIONS = {2: 1, 4: 2, 6: 3, 9: 3}
_LATEST = {1: 12, 3: 23, 4: 59}
_MILLISECONDS = 17


def low_boundary(frame: Frame, focus: Collection, precision: Collection = EMPTY) -> Collection:
    return _boundary(focus, whole(precision), -1)


def high_boundary(frame: Frame, focus: Collection, precision: Collection = EMPTY) -> Collection:
    return _boundary(focus, whole(precision), 1)


def _boundary(focus: Collection, digits: int | None, side: int) -> Collection:
    node = single(focus)
    if node is None or node.value is None:
        return EMPTY
    moment = temporal_of(node)
    if moment is not None:
        return _temporal_boundary(moment, node.type, digits, side)
    value = number(node)
    if value is not None:
        edge = _edge(Decimal(value), digits, side)
        return EMPTY if edge is None else [Node(edge, DECIMAL)]
    amount = quantity(node)
    if amount is None:
        raise FhirPathEvaluationError(f"{node.type} has no boundaries")
    edge = _edge(amount.value, digits, side)
    return EMPTY if edge is None else [Node(Quantity(edge, amount.unit), QUANTITY)]


def _edge(value: Decimal, digits: int | None, side: int) -> Decimal | None:
    """Return the end of the interval a decimal stands for, half a unit of its last digit away, rounded outward."""
    wanted = _DEFAULT_DECIMALS if digits is None else digits
    if not 0 <= wanted <= _MAX_DECIMALS or not is_sane(value):
        return None
    rules = Context(prec=100, rounding=ROUND_CEILING if side > 0 else ROUND_FLOOR)
    half = Decimal(5).scaleb(min(0, int(value.as_tuple().exponent)) - 1)
    return rules.add(value, side * half).quantize(Decimal(1).scaleb(-wanted), context=rules)


def _temporal_boundary(value: Temporal, type_name: str, digits: int | None, side: int) -> Collection:
    is_time = value.kind == TIME
    default = 9 if is_time else 8 if value.kind == "System.Date" else _MILLISECONDS
    wanted = default if digits is None else digits
    count = (_TIME_PRECISIONS if is_time else _DATE_PRECISIONS).get(wanted)
    if count is None:
        return EMPTY
    parts = _filled(value, count, side)
    if wanted in (9, _MILLISECONDS):
        parts[-1] = _milliseconds(parts[-1], value, side)
    elif count == (3 if is_time else 6):
        parts[-1] = int(parts[-1])
    kind = value.kind if is_time or (count <= 3 and value.kind == "System.Date") else DATETIME
    if not is_time and count <= 3:
        kind = "System.Date" if value.kind == "System.Date" else DATETIME
    zone = value.zone
    if not zone and kind == DATETIME and count > 3:
        zone = "-12:00" if side > 0 else "+14:00"
    text = temporal.text(Temporal(kind, tuple(parts), None, zone))
    return [Node(text, kind)]


def _filled(value: Temporal, count: int, side: int) -> list[Part]:
    """Return the parts cut or filled up to a count with the first or the last there can be."""
    parts: list[Part] = list(value.parts[:count])
    first = 3 if value.kind == TIME else 0
    while len(parts) < count:
        position = len(parts) + first
        if side < 0:
            parts.append(1 if position in (1, 2) else 0)
        elif position == 2:
            parts.append(calendar.monthrange(int(parts[0]), int(parts[1]))[1])
        else:
            parts.append(_LATEST.get(position, 59))
    return parts


def _milliseconds(second: Part, value: Temporal, side: int) -> Part:
    """Return the seconds with three digits after the point."""
    given = isinstance(second, Decimal)
    if given or side < 0:
        return Decimal(second).quantize(Decimal("0.001"), rounding=ROUND_FLOOR)
    return Decimal(second) + Decimal("0.999")


def precision(frame: Frame, focus: Collection) -> Collection:
    """Return the number of digits: significant ones of a number, all of a date or time."""
    node = single(focus)
    if node is None or node.value is None:
        return EMPTY
    moment = temporal_of(node)
    if moment is not None:
        bare = temporal.text(Temporal(moment.kind, moment.parts))
        return integer(sum(character.isdigit() for character in bare))
    value = number(node)
    if value is None:
        raise FhirPathEvaluationError(f"{node.type} has no precision")
    return integer(_significant(value))


def _significant(value: Any) -> int:
    return max(1, -int(Decimal(value).as_tuple().exponent)) if isinstance(value, Decimal) else len(str(abs(value)))


def comparable(frame: Frame, focus: Collection, other: Collection) -> Collection:
    """Whether two quantities measure the same thing."""
    left, right = single(focus), single(other)
    if left is None or right is None:
        return EMPTY
    one, two = quantity(left), quantity(right)
    if one is None or two is None:
        raise FhirPathEvaluationError("comparable() needs quantities")
    first, second = units.unit(one.unit), units.unit(two.unit)
    if first is None or second is None:
        return boolean(one.unit == two.unit)
    return boolean(first.dimensions == second.dimensions)
