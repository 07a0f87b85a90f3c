"""Quantities. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.number import asked_number
from fhir_server.search.matching.quantity import QuantityAsked, asked_quantity

UCUM = "http://unitsofmeasure.org"


def quantity(value: str, code: str = "", unit: str = "", system: str = UCUM) -> dict[str, Any]:
    found: dict[str, Any] = {"value": Decimal(value)}
    if code:
        found |= {"system": system, "code": code}
    if unit:
        found["unit"] = unit
    return found


@pytest.mark.parametrize(
    ("text", "number", "system", "code"),
    [
        ("5.4", "5.4", "", ""),
        ("lt5.4", "lt5.4", "", ""),
        (f"5.4|{UCUM}|mg", "5.4", UCUM, "mg"),
        ("ap5.4||mg", "ap5.4", "", "mg"),
        (r"1|urn:x|a\|b", "1", "urn:x", "a|b"),
    ],
)
def test_quantity_values(text: str, number: str, system: str, code: str) -> None:
    assert asked_quantity(text) == QuantityAsked(asked_number(number), system, code)


@pytest.mark.parametrize("text", ["", "x", "|", "5.4|mg", f"5.4|{UCUM}|", "5.4||", f"|{UCUM}|mg", f"5.4|{UCUM}|mg|g"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number\|system\|code"):
        asked_quantity(text)


@pytest.mark.parametrize(
    ("held", "value", "expected"),
    [
        (quantity("5.4", "mg"), "5.4", True),
        (quantity("5.44", "mg"), "5.4", True),
        (quantity("5.45", "mg"), "5.4", False),
        (quantity("5.4", "mg"), f"5.4|{UCUM}|mg", True),
        (quantity("5.4", "mg"), f"5.4|{UCUM}|MG", False),
        (quantity("0.0054", "g"), f"5.4|{UCUM}|mg", True),
        (quantity("0.00545", "g"), f"5.4|{UCUM}|mg", False),
        (quantity("0.00535", "g"), f"5.4|{UCUM}|mg", True),
        (quantity("5.4", "mg"), f"5.4e-3|{UCUM}|g", True),
        (quantity("6", "mg"), f"gt5.4e-3|{UCUM}|g", True),
        (quantity("5.4", "mg"), f"gt5.4e-3|{UCUM}|g", False),
        (quantity("5.4", "mg"), f"ge5.4e-3|{UCUM}|g", True),
        (quantity("5.4", "mg"), f"ne5.4e-3|{UCUM}|g", False),
        (quantity("5.4", "mL"), f"5.4|{UCUM}|mg", False),
        (quantity("5.4", "mL"), f"ne5.4|{UCUM}|mg", False),
        (quantity("37", "Cel"), f"98.6|{UCUM}|[degF]", True),
        (quantity("37.1", "Cel"), f"98.6|{UCUM}|[degF]", False),
        (quantity("-40", "[degF]"), f"-40|{UCUM}|Cel", True),
        (quantity("310.15", "K"), f"37.0|{UCUM}|Cel", True),
        (quantity("120", "mm[Hg]"), f"gt15.9|{UCUM}|kPa", True),
        (quantity("72", "/min"), f"72|{UCUM}|{{beats}}/min", True),
        (quantity("5", "nonsense"), f"5|{UCUM}|nonsense", True),
        (quantity("5", "nonsense"), f"5|{UCUM}|mg", False),
        (quantity("5", "mg"), f"5|{UCUM}|nonsense", False),
        (quantity("5", "mg", system="urn:other"), f"5|{UCUM}|mg", False),
        (quantity("5", "mg", system="urn:other"), "5|urn:other|mg", True),
        (quantity("5", "g", system="urn:other"), "5000|urn:other|mg", False),
        (quantity("5", "mg", "milligram"), "5||mg", True),
        (quantity("5", "mg", "milligram"), "5||milligram", True),
        (quantity("5", "mg", "milligram"), f"5|{UCUM}|milligram", False),
        (quantity("5", "", "milligram"), "5||milligram", True),
        (quantity("5", "", "mg"), f"5|{UCUM}|mg", False),
        (quantity("0.005", "g"), "5||mg", False),
        (quantity("5", "mg"), "6||mg", False),
        (quantity("5", "mg"), "5||g", False),
        (quantity("-0.5", "mg"), "lt0", True),
        (quantity("110", "mg"), "ap100", True),
        (quantity("0.11", "g"), f"ap100|{UCUM}|mg", True),
        (quantity("0.1101", "g"), f"ap100|{UCUM}|mg", False),
        ({"code": "mg", "system": UCUM}, "ne5", False),
    ],
)
def test_quantities(matches: Callable[..., bool], held: dict[str, Any], value: str, *, expected: bool) -> None:
    assert matches({"resourceType": "Observation", "valueQuantity": held}, "value-quantity", value) is expected


@pytest.mark.parametrize(
    ("held", "value", "expected"),
    [
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, "gt35", True),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"gt35|{UCUM}|a", True),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"sa29|{UCUM}|a", True),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"sa30|{UCUM}|a", False),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"35|{UCUM}|a", False),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"gt10000|{UCUM}|d", True),
        ({"low": quantity("30", "a"), "high": quantity("40", "a")}, f"gt15000|{UCUM}|d", False),
        ({"low": quantity("30", "a")}, f"gt15000|{UCUM}|d", True),
        ({"low": quantity("30", "a")}, f"lt10950|{UCUM}|d", False),
        ({"high": quantity("40", "a")}, f"lt-5|{UCUM}|d", True),
        ({"high": quantity("40", "a")}, f"lt-5|{UCUM}|mg", False),
        ({}, "ne5", False),
    ],
)
def test_ranges(matches: Callable[..., bool], held: dict[str, Any], value: str, *, expected: bool) -> None:
    assert matches({"resourceType": "Condition", "onsetRange": held}, "onset-age", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("100", True),
        ("100||EUR", True),
        ("100|urn:iso:std:iso:4217|EUR", True),
        ("100|urn:iso:std:iso:4217|USD", False),
        (f"100|{UCUM}|EUR", False),
    ],
)
def test_money(matches: Callable[..., bool], value: str, *, expected: bool) -> None:
    invoice = {"resourceType": "Invoice", "totalNet": {"value": 100, "currency": "EUR"}}
    assert matches(invoice, "totalnet", value) is expected


def test_malformed_values_and_modifiers_are_refused(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest, match="value-quantity must be a number, number"):
        matches({"resourceType": "Observation"}, "value-quantity", "5|mg")
    with pytest.raises(InvalidRequest, match="value-quantity:not is not supported"):
        matches({"resourceType": "Observation"}, "value-quantity:not", "5")
