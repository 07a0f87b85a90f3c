"""Answers, options, limits and conditions have values of the same types; here they are read and compared.

https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen.answer_x_. What precision or units
leave open is None: neither yes nor no.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.fhir.fhirpath import quantities, temporal
from fhir_server.fhir.fhirpath.nodes import DATETIME, TIME
from fhir_server.validation.findings import Json

# The type of a value as its JSON name has it (`Coding` for `valueCoding`), and the value.
Value = tuple[str, Any]

_FAMILIES = {
    "Boolean": "boolean",
    "Decimal": "number",
    "Integer": "number",
    "Date": "date",
    "DateTime": "date",
    "Instant": "date",
    "Time": "time",
    "String": "text",
    "Uri": "text",
    "Url": "text",
    "Code": "text",
    "Coding": "coding",
    "Quantity": "quantity",
    "Reference": "reference",
}


def value_of(row: Json, prefix: str = "value") -> Value | None:
    """Return the value of `value[x]` (or another choice), None where there is none or only an extension of it."""
    size = len(prefix)
    for name, value in row.items():
        if name.startswith(prefix) and name[size : size + 1].isupper():
            return name[size:], value
    return None


def rows(holder: Json, name: str) -> list[Json]:
    """Return the objects of a list, and nothing of what is malformed."""
    value = holder.get(name)
    return [row for row in value if type(row) is dict] if type(value) is list else []


def extensions(row: Json, url: str) -> list[Any]:
    """Return the values of the extensions with this url."""
    found = (value_of(one) for one in rows(row, "extension") if one.get("url") == url)
    return [one[1] for one in found if one is not None]


def is_equal(left: Value, right: Value) -> bool | None:
    """Whether two values are the same; codings by system and code, quantities by what they measure."""
    family = _FAMILIES.get(left[0])
    if family is None or family != _FAMILIES.get(right[0]):
        return False
    if family in ("text", "boolean"):
        return bool(left[1] == right[1])
    if family == "coding":
        return _coding(left[1]) == _coding(right[1])
    if family == "reference":
        return _literal(left[1]) == _literal(right[1]) if _literal(left[1]) and _literal(right[1]) else None
    order = compare(left, right)
    return None if order is None else order == 0


def compare(left: Value, right: Value) -> int | None:
    """Return -1, 0 or 1, or None where the values cannot be put in an order."""
    family = _FAMILIES.get(left[0])
    first, second = left[1], right[1]
    if family is None or family != _FAMILIES.get(right[0]):
        return None
    if family == "number":
        return _order(first, second) if _is_number(first) and _is_number(second) else None
    if family == "quantity":
        one, other = quantities.quantity_of(first), quantities.quantity_of(second)
        return None if one is None or other is None else quantities.compare(one, other)
    if type(first) is not str or type(second) is not str:
        return None
    if family == "text":
        return _order(first, second)
    return _in_time(first, second, TIME if family == "time" else DATETIME) if family in ("date", "time") else None


def _in_time(first: str, second: str, kind: str) -> int | None:
    one, other = temporal.parse(first, kind), temporal.parse(second, kind)
    return None if one is None or other is None else temporal.compare(one, other)


def _order(first: Any, second: Any) -> int:
    return int(first > second) - int(first < second)


def _is_number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, Decimal) and value.is_finite())


def _coding(value: Any) -> tuple[Any, Any]:
    return (value.get("system"), value.get("code") or value.get("display")) if type(value) is dict else (None, value)


def _literal(value: Any) -> Any:
    return value.get("reference") if type(value) is dict else None
