"""Composites. https://hl7.org/fhir/R4/search.html#combining"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.composite import asked_parts
from fhir_server.search.parameters import Parameters

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def concept(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def pressure(value: str) -> dict[str, Any]:
    return {"value": Decimal(value), "system": UCUM, "code": "mm[Hg]"}


PANEL = {
    "resourceType": "Observation",
    "code": concept("85354-9"),
    "component": [
        {"code": concept("8480-6"), "valueQuantity": pressure("120")},
        {"code": concept("8462-4"), "valueQuantity": pressure("80")},
        {"code": concept("8478-0"), "valueCodeableConcept": concept("high", "urn:x")},
    ],
}
WEIGHT = {"resourceType": "Observation", "code": concept("29463-7"), "valueQuantity": {"value": Decimal("70.5")}}
DATED = {"resourceType": "Observation", "code": concept("11778-8"), "valueDateTime": "2026-12-24"}
NOTED = {"resourceType": "Observation", "code": concept("8251-1"), "valueString": "Costs 5$, or so"}
SEQUENCE = {
    "resourceType": "MolecularSequence",
    "referenceSeq": {"chromosome": concept("chr1", "urn:c"), "windowStart": 5, "windowEnd": 9},
    "variant": [{"start": 10, "end": 20}, {"start": 100, "end": 200}],
}
REPLACED = {
    "resourceType": "DocumentReference",
    "relatesTo": [
        {"code": "replaces", "target": {"reference": "DocumentReference/1"}},
        {"code": "appends", "target": {"reference": "DocumentReference/2"}},
    ],
}
LIBRARY = {
    "resourceType": "Library",
    "useContext": [
        {"code": {"system": "urn:u", "code": "age"}, "valueRange": {"low": {"value": 20}, "high": {"value": 40}}},
        {"code": {"system": "urn:u", "code": "focus"}, "valueCodeableConcept": concept("asthma", "urn:d")},
    ],
}


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (PANEL, "component-code-value-quantity", f"{LOINC}|8480-6$gt100", True),
        (PANEL, "component-code-value-quantity", f"{LOINC}|8480-6$lt100", False),
        (PANEL, "component-code-value-quantity", f"8462-4$lt100|{UCUM}|mm[Hg]", True),
        (PANEL, "component-code-value-quantity", f"8480-6$gt15.9|{UCUM}|kPa", True),
        (PANEL, "component-code-value-quantity", "85354-9$gt10", False),
        (PANEL, "component-code-value-concept", "8478-0$urn:x|high", True),
        (PANEL, "component-code-value-concept", "8480-6$high", False),
        (PANEL, "combo-code-value-quantity", "8480-6$120", True),
        (PANEL, "code-value-quantity", "8480-6$120", False),
        (WEIGHT, "combo-code-value-quantity", "29463-7$70.5", True),
        (WEIGHT, "code-value-quantity", "29463-7$ge70.5", True),
        (WEIGHT, "code-value-quantity", "29463-7$gt70.5", False),
        (DATED, "code-value-date", "11778-8$2026-12", True),
        (DATED, "code-value-date", "11778-8$gt2026-12-24", False),
        (NOTED, "code-value-string", r"8251-1$costs 5\$\, or", True),
        (NOTED, "code-value-string", "8251-1$or so", False),
        (SEQUENCE, "chromosome-variant-coordinate", "chr1$ge5$le25", True),
        (SEQUENCE, "chromosome-variant-coordinate", "urn:c|chr1$ge50$le150", False),
        (SEQUENCE, "chromosome-variant-coordinate", "chr2$ge5$le25", False),
        (SEQUENCE, "chromosome-window-coordinate", "chr1$5$9", True),
        (REPLACED, "relationship", "DocumentReference/1$appends", False),
        (REPLACED, "relationship", "DocumentReference/1$replaces", True),
        (REPLACED, "relationship", "1$replaces", True),
        (REPLACED, "relationship", "2$replaces", False),
        (REPLACED, "relationship", "2$http://hl7.org/fhir/document-relationship-type|appends", True),
        (LIBRARY, "context-type-quantity", "urn:u|age$gt30", True),
        (LIBRARY, "context-type-quantity", "age$gt40", False),
        (LIBRARY, "context-type-value", "focus$asthma", True),
        (LIBRARY, "context-type-value", "age$asthma", False),
        ({"resourceType": "Observation"}, "code-value-string", "a$b", False),
    ],
)
def test_parts_hold_for_one_element(
    matches: Callable[..., bool], resource: dict[str, Any], name: str, value: str, *, expected: bool
) -> None:
    assert matches(resource, name, value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    assert matches(PANEL, "component-code-value-quantity", "8480-6$lt100", "8462-4$80")
    assert not matches(PANEL, "component-code-value-quantity", "8480-6$80", "8462-4$120")


def test_parts_stay_escaped() -> None:
    assert asked_parts(r"a\$b\\$c\|d", 2) == (r"a\$b\\", r"c\|d")


@pytest.mark.parametrize("text", ["a", "a$", "$b", "a$b$c", r"a\$b", ""])
def test_the_number_of_parts_is_given(matches: Callable[..., bool], text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"code-value-quantity must be 2 values joined by \$") as refused:
        matches(WEIGHT, "code-value-quantity", text)
    assert refused.value.issues[0].location == "http.code-value-quantity"


def test_a_malformed_part_is_refused_in_the_name_of_the_whole(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest, match="code-value-quantity: value-quantity must be a number") as refused:
        matches(WEIGHT, "code-value-quantity", "29463-7$heavy")
    assert refused.value.issues[0].location == "http.code-value-quantity"


def test_composites_have_no_modifiers(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest, match="code-value-quantity:not is not supported"):
        matches(WEIGHT, "code-value-quantity:not", "a$5")


def test_every_composite_of_the_specification_can_be_asked(
    matches: Callable[..., bool], parameters: Parameters
) -> None:
    parts = {"token": "a", "quantity": "5", "number": "5", "date": "2026", "string": "x", "reference": "1"}
    asked = 0
    for resource_type in ("Observation", "MolecularSequence", "Group", "DocumentReference", "Library", "ValueSet"):
        for parameter in parameters.of(resource_type).values():
            if parameter.type == "composite":
                value = "$".join(parts[c.parameter.type] for c in parameters.components(parameter))
                assert not matches({"resourceType": resource_type}, parameter.code, value)
                asked += 1
    assert asked == 18
