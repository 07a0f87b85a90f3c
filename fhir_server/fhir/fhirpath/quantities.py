"""Quantities: from FHIR's to System's, comparing and computing. https://hl7.org/fhirpath/N1/#quantity, https://hl7.org/fhir/R4/fhirpath.html#quantity"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from fhir_server.fhir.fhirpath import units
from fhir_server.fhir.fhirpath.arithmetic import is_sane, rounded_alike
from fhir_server.fhir.fhirpath.nodes import Quantity

UCUM = "http://unitsofmeasure.org"

_TEXT = re.compile(r"(?P<value>[+-]?\d+(?:\.\d+)?)\s*(?:'(?P<code>[^']+)'|(?P<word>[a-z]+))?")


def quantity_of(value: Any) -> Quantity | None:
    """Return a FHIR Quantity as a System one; None if it has no value, or a comparator, which leaves it open.

    The UCUM codes of time mean calendar durations there. A unit of another system only equals itself.
    """
    if isinstance(value, Quantity):
        return value
    if type(value) is not dict or "comparator" in value:
        return None
    amount = value.get("value")
    if not isinstance(amount, int | Decimal) or not is_sane(Decimal(amount)):
        return None
    code, system = value.get("code"), value.get("system")
    if type(code) is str and system == UCUM:
        return Quantity(Decimal(amount), units.CODES_CALENDAR.get(code, code))
    label = code or value.get("unit")
    return Quantity(Decimal(amount), f"{system or ''}|{label}" if label else "1")


def read(text: str) -> Quantity | None:
    """Return the quantity a text stands for (`4 days`, `10 'mg'`, `3`), or None."""
    match = _TEXT.fullmatch(text)
    if match is None or (match.group("word") and match.group("word") not in units.CALENDAR):
        return None
    return Quantity(Decimal(match.group("value")), match.group("code") or match.group("word") or "1")


def written(value: Quantity) -> str:
    """Return the quantity as FHIRPath writes it."""
    unit = value.unit if value.unit in units.CALENDAR else f"'{value.unit}'"
    return f"{value.value:f} {unit}"


def compare(left: Quantity, right: Quantity) -> int | None:
    """Return -1, 0 or 1, or None if the units do not measure the same."""
    if left.unit == right.unit:
        return (left.value > right.value) - (left.value < right.value)
    first, second = units.canonical(left.value, left.unit), units.canonical(right.value, right.unit)
    if first is None or second is None or first[1] != second[1]:
        return None
    return (first[0] > second[0]) - (first[0] < second[0])


def is_equivalent(left: Quantity, right: Quantity) -> bool:
    """Whether the values are the same at the lesser of the two precisions."""
    converted = units.convert(right.value, _definite(right.unit), _definite(left.unit))
    return converted is not None and rounded_alike(left.value, converted)


def identity(value: Quantity) -> tuple[object, ...]:
    """Return a key that is the same for two quantities exactly if they are equal."""
    known = units.canonical(value.value, value.unit)
    return ("quantity", *known) if known else ("quantity", value.value, value.unit)


def add(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Return the sum (or, with sign -1, the difference) in the finer of the units; None if they do not fit."""
    unit = finer(left.unit, right.unit)
    first, second = units.convert(left.value, left.unit, unit), units.convert(right.value, right.unit, unit)
    return None if first is None or second is None else _fitting(first + sign * second, unit)


def finer(left: str, right: str) -> str:
    """Return the smaller of two units."""
    one, other = units.unit(left), units.unit(right)
    return right if one is not None and other is not None and other.factor < one.factor else left


def multiply(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """Return the product (or, with sign -1, the quotient), in base units unless one side is a plain number."""
    if sign < 0 and right.value == 0:
        return None
    value = left.value * right.value if sign > 0 else left.value / right.value
    if right.unit == "1":
        return _fitting(value, left.unit)
    if left.unit == "1" and sign > 0:
        return _fitting(value, right.unit)
    known = units.product(_definite(left.unit), _definite(right.unit), sign)
    return None if known is None else _fitting(value * units.decimal(known[0]), known[1])


def _fitting(value: Decimal, unit: str) -> Quantity | None:
    return Quantity(value, unit) if is_sane(value) else None


def _definite(unit: str) -> str:
    """Equivalence takes a calendar year or month for UCUM's mean one."""
    word = units.CALENDAR.get(unit, "")
    return {"year": "a", "month": "mo"}.get(word, unit)
