"""Conversion. https://hl7.org/fhirpath/N1/#conversion"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from fhir_server.fhir.fhirpath import quantities, temporal, units
from fhir_server.fhir.fhirpath.arithmetic import fitting, is_sane
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    EMPTY,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    Collection,
    Node,
    Quantity,
    boolean,
)
from fhir_server.fhir.fhirpath.singletons import single, text, truth
from fhir_server.fhir.fhirpath.types import system_type

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?")

Converter = Callable[[Node, "str | None"], object]


def iif(frame: Frame, focus: Collection, criterion: Run, then: Run, otherwise: Run | None = None) -> Collection:
    """Evaluate only the branch that is chosen, with the input as `$this`."""
    single(focus)
    this = frame.this
    frame.this = focus
    try:
        if truth(criterion(frame)):
            return then(frame)
        return otherwise(frame) if otherwise is not None else EMPTY
    finally:
        frame.this = this


def _to_boolean(node: Node, kind: str | None) -> object:
    value = node.value
    if kind == BOOLEAN:
        return value
    if kind in (INTEGER, DECIMAL):
        return {1: True, 0: False}.get(value)
    if kind == STRING:
        lowered = value.lower()
        return True if lowered in _TRUE else False if lowered in _FALSE else None
    return None


def _to_integer(node: Node, kind: str | None) -> object:
    value = node.value
    if kind == INTEGER:
        return value
    if kind == BOOLEAN:
        return int(value)
    if kind == STRING and _INTEGER.fullmatch(value):
        return fitting(int(value))
    return None


def _to_decimal(node: Node, kind: str | None) -> object:
    value = node.value
    if kind in (INTEGER, DECIMAL):
        return Decimal(value)
    if kind == BOOLEAN:
        return Decimal(int(value))
    if kind == STRING and len(value) <= 64 and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def _to_text(node: Node, kind: str | None) -> object:
    value = node.value
    if kind == BOOLEAN:
        return "true" if value else "false"
    if kind == DECIMAL:
        number = Decimal(value)
        return f"{number:f}" if is_sane(number) else str(number)
    if kind == QUANTITY:
        amount = quantities.quantity_of(value)
        return quantities.written(amount) if amount is not None else None
    return None if kind is None else str(value)


def _to_quantity(node: Node, kind: str | None) -> object:
    value = node.value
    if kind == QUANTITY:
        return quantities.quantity_of(value)
    if kind in (INTEGER, DECIMAL, BOOLEAN):
        return Quantity(Decimal(value), "1")
    return quantities.read(value) if kind == STRING and len(value) <= 128 else None


def _to_date(node: Node, kind: str | None) -> object:
    if kind in (DATE, DATETIME):
        return str(node.value).partition("T")[0]
    return node.value if kind == STRING and temporal.is_temporal(node.value, DATE) else None


def _to_date_time(node: Node, kind: str | None) -> object:
    if kind in (DATE, DATETIME):
        return node.value
    return node.value if kind == STRING and temporal.is_temporal(node.value, DATETIME) else None


def _to_time(node: Node, kind: str | None) -> object:
    if kind == TIME:
        return node.value
    return node.value if kind == STRING and temporal.is_temporal(node.value, TIME) else None


def _converted(convert: Converter, focus: Collection) -> object:
    node = single(focus)
    return None if node is None or node.value is None else convert(node, system_type(node))


def _to(convert: Converter, kind: str) -> Callable[[Frame, Collection], Collection]:
    def run(frame: Frame, focus: Collection) -> Collection:
        value = _converted(convert, focus)
        return EMPTY if value is None else [Node(value, kind)]

    return run


def _can(convert: Converter) -> Callable[[Frame, Collection], Collection]:
    def run(frame: Frame, focus: Collection) -> Collection:
        return boolean(_converted(convert, focus) is not None) if focus else EMPTY

    return run


to_boolean, converts_to_boolean = _to(_to_boolean, BOOLEAN), _can(_to_boolean)
to_integer, converts_to_integer = _to(_to_integer, INTEGER), _can(_to_integer)
to_decimal, converts_to_decimal = _to(_to_decimal, DECIMAL), _can(_to_decimal)
to_string, converts_to_string = _to(_to_text, STRING), _can(_to_text)
to_date, converts_to_date = _to(_to_date, DATE), _can(_to_date)
to_date_time, converts_to_date_time = _to(_to_date_time, DATETIME), _can(_to_date_time)
to_time, converts_to_time = _to(_to_time, TIME), _can(_to_time)


def to_quantity(frame: Frame, focus: Collection, unit: Collection = EMPTY) -> Collection:
    amount = _converted(_to_quantity, focus)
    code = text(unit)
    if isinstance(amount, Quantity) and code is not None:
        value = units.convert(amount.value, amount.unit, code)
        amount = None if value is None else Quantity(value, code)
    return [Node(amount, QUANTITY)] if isinstance(amount, Quantity) else EMPTY


def converts_to_quantity(frame: Frame, focus: Collection, unit: Collection = EMPTY) -> Collection:
    return boolean(bool(to_quantity(frame, focus, unit))) if focus else EMPTY
