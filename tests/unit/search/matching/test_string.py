"""Strings. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.string import asked_string

LONG = "word " * 300 + "end"
PATIENT = {
    "resourceType": "Patient",
    "name": [
        {"family": "Müller-Lüdenscheidt", "given": ["Ève", "Ann  Marie"], "text": "Frau Eve Müller"},
        {"given": ["Zoë, the 1st"]},
    ],
    "address": [{"line": ["Straße 1"], "city": "Łódź", "postalCode": "90-001", "use": "home"}],
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("family", "mull", True),
        ("family", "MÜLLER", True),
        ("family", "lud", False),
        ("family:contains", "LÜD", True),
        ("family:contains", "schmidt", False),
        ("family:exact", "Müller-Lüdenscheidt", True),
        ("family:exact", "Müller", False),
        ("family:exact", "müller-lüdenscheidt", False),
        ("given", "eve", True),
        ("given", "ann marie", True),
        ("given", "marie", False),
        ("given:exact", "Ann Marie", False),
        ("given:exact", "Ann  Marie", True),
        ("given", r"zoe\, the", True),
        ("given:exact", r"Zoë\, the 1st", True),
        ("name", "frau", True),
        ("name", "mul", True),
        ("address", "strasse", True),
        ("address", "90-0", True),
        ("address", "home", False),
        ("address-city", "ódz", False),
        ("address-city:contains", "ódź", True),
        ("phonetic", "eve", True),
    ],
)
def test_strings(matches: Callable[..., bool], name: str, value: str, *, expected: bool) -> None:
    assert matches(PATIENT, name, value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    assert matches(PATIENT, "given", "x", "eve")
    assert matches(PATIENT, "given:contains", "x", "ari")
    assert matches(PATIENT, "given:exact", "x", "Ève")
    assert not matches(PATIENT, "given", "x", "y")


def test_a_long_text_is_compared_to_its_end(matches: Callable[..., bool]) -> None:
    patient = {"resourceType": "Patient", "name": [{"text": LONG}]}
    assert matches(patient, "name", LONG)
    assert not matches(patient, "name", LONG + "s")
    assert matches(patient, "name:contains", "word end")


@pytest.mark.parametrize("name", ["family", "family:exact", "family:contains"])
@pytest.mark.parametrize("value", ["", " ", "\u0301"])
def test_a_value_without_a_text_is_refused(matches: Callable[..., bool], name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="family must be a text") as refused:
        matches(PATIENT, name, value)
    assert refused.value.issues[0].location == "http.family"


@pytest.mark.parametrize("modifier", ["not", "text", "in", "identifier", "Exact"])
def test_modifiers_of_other_types_are_refused(matches: Callable[..., bool], modifier: str) -> None:
    with pytest.raises(InvalidRequest, match=f"family:{modifier} is not supported"):
        matches(PATIENT, f"family:{modifier}", "x")


def test_values_are_unescaped_and_folded() -> None:
    assert asked_string(r"Ä\,B\\  c") == "a,b\\ c"
