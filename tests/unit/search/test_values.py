"""What elements say to a search. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.search.values import (
    BEGINNING,
    END,
    numbers,
    quantities,
    reference_key,
    texts,
    times,
    tokens,
)

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
DAY = 86_400_000


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("female", "code", [("", "female")]),
        (True, "boolean", [("", "true")]),
        (False, "boolean", [("", "false")]),
        (7, "integer", [("", "7")]),
        ({"system": LOINC, "code": "1-8"}, "Coding", [(LOINC, "1-8")]),
        ({"code": "1-8"}, "Coding", [("", "1-8")]),
        ({"system": LOINC, "display": "no code"}, "Coding", []),
        (
            {"coding": [{"system": LOINC, "code": "a"}, {"display": "b"}, {"code": "c"}], "text": "t"},
            "CodeableConcept",
            [(LOINC, "a"), ("", "c")],
        ),
        ({"text": "t"}, "CodeableConcept", []),
        ({"system": "urn:x", "value": "1"}, "Identifier", [("urn:x", "1")]),
        ({"value": "1"}, "Identifier", [("", "1")]),
        ({"system": "urn:x"}, "Identifier", []),
        ({"system": "phone", "value": "555"}, "ContactPoint", [("", "555")]),
        (None, "Identifier", []),
        (Decimal("1.0"), "decimal", []),
    ],
)
def test_tokens(value: Any, kind: str, expected: list[tuple[str, str]]) -> None:
    assert list(tokens(value, kind)) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("plain", "string", ["plain"]),
        (
            {"family": "F", "given": ["A", None, "B"], "prefix": ["Dr"], "text": "T", "use": "official"},
            "HumanName",
            ["F", "A", "B", "Dr", "T"],
        ),
        (
            {"line": ["1 Main"], "city": "C", "state": "S", "postalCode": "P", "country": "X", "type": "both"},
            "Address",
            ["1 Main", "C", "S", "X", "P"],
        ),
        ({"text": "T", "coding": [{"display": "D", "code": "c"}]}, "CodeableConcept", ["T", "D"]),
        ({"display": "D"}, "Reference", ["D"]),
        ({"text": "note"}, "Annotation", ["note"]),
        (5, "integer", []),
    ],
)
def test_texts(value: Any, kind: str, expected: list[str]) -> None:
    assert list(texts(value, kind)) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("1970-01-02", "date", [(DAY, 2 * DAY)]),
        ("not a date", "date", []),
        ({"start": "1970-01-01", "end": "1970-01-02"}, "Period", [(0, 2 * DAY)]),
        ({"start": "1970-01-02"}, "Period", [(DAY, END)]),
        ({"end": "1970-01-02"}, "Period", [(BEGINNING, 2 * DAY)]),
        ({}, "Period", []),
        ({"event": ["1970-01-01", "1970-01-03"]}, "Timing", [(0, 3 * DAY)]),
        ({"repeat": {"boundsPeriod": {"start": "1970-01-02"}}}, "Timing", [(DAY, END)]),
        ({"code": {"text": "BID"}}, "Timing", []),
        (None, "date", []),
    ],
)
def test_times(value: Any, kind: str, expected: list[tuple[int, int]]) -> None:
    assert list(times(value, kind)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(Decimal("1.50"), [Decimal("1.50")]), (3, [Decimal(3)]), ("3", []), (True, [])]
)
def test_numbers(value: Any, expected: list[Decimal]) -> None:
    assert list(numbers(value)) == expected


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (
            {"value": Decimal("5.4"), "system": UCUM, "code": "mg", "unit": "milligram"},
            "Quantity",
            [(Decimal("5.4"), UCUM, "mg")],
        ),
        ({"value": 5, "unit": "mg"}, "Quantity", [(Decimal(5), "", "")]),
        ({"value": 5}, "Quantity", [(Decimal(5), "", "")]),
        ({"unit": "mg"}, "Quantity", []),
        ({"value": 5, "currency": "EUR"}, "Money", [(Decimal(5), "urn:iso:std:iso:4217", "EUR")]),
        ({"value": "5"}, "Quantity", []),
        (5, "Quantity", []),
    ],
)
def test_quantities(value: Any, kind: str, expected: list[tuple[Decimal, str, str]]) -> None:
    assert list(quantities(value, kind)) == expected


@pytest.mark.parametrize(
    ("reference", "base_url", "key"),
    [
        ("Patient/1", "", "Patient/1"),
        ("Patient/1/_history/3", "", "Patient/1"),
        ("https://here.example/fhir/Patient/1", "https://here.example/fhir", "Patient/1"),
        ("https://here.example/fhir/Patient/1/_history/2", "https://here.example/fhir", "Patient/1"),
        ("https://there.example/fhir/Patient/1", "https://here.example/fhir", "https://there.example/fhir/Patient/1"),
        ("https://here.example/fhirs/Patient/1", "https://here.example/fhir", "https://here.example/fhirs/Patient/1"),
        ("urn:uuid:a", "", "urn:uuid:a"),
    ],
)
def test_a_reference_is_the_key_of_what_is_here_and_a_url_otherwise(reference: str, base_url: str, key: str) -> None:
    assert reference_key(reference, base_url) == key
