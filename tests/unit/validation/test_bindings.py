"""Required bindings that R4's own definitions do not have, but other definitions do."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
import pytest

from fhir_server.fhir.definitions import Definitions, TypeDefinition, r4
from fhir_server.validation import Validator

UNITS = "http://example.org/ValueSet/units"
UCUM = "http://unitsofmeasure.org"


class BoundDefinitions(Definitions):
    """R4 where some elements of Substance.instance and Encounter are bound to a value set of units."""

    @cached_property
    def types(self) -> dict[str, TypeDefinition]:
        types = r4().types
        return {
            **types,
            "Substance.instance": _bound(types["Substance.instance"], "quantity", UNITS),
            "Encounter": _bound(types["Encounter"], "class", UNITS),
            "Substance": _bound(types["Substance"], "status", "http://example.org/ValueSet/unlisted"),
        }

    @cached_property
    def code_lists(self) -> dict[str, dict[str, frozenset[str]]]:
        return {**r4().code_lists, UNITS: {UCUM: frozenset({"kg", "g"})}}


def _bound(definition: TypeDefinition, name: str, value_set: str) -> TypeDefinition:
    elements = tuple(
        msgspec.structs.replace(element, binding=("required", value_set)) if element.name == name else element
        for element in definition.elements
    )
    return msgspec.structs.replace(definition, elements=elements)


VALIDATOR = Validator(BoundDefinitions())


def found(resource: dict[str, Any]) -> list[tuple[str, str]]:
    return [(issue.code, issue.expression) for issue in VALIDATOR.validate(resource)]


@pytest.mark.parametrize(
    ("coded", "refused"),
    [
        ({"system": UCUM, "code": "kg"}, False),
        ({"system": UCUM, "code": "[lb_av]"}, True),
        ({"system": "http://example.org", "code": "kg"}, True),
        ({"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]}, False),
    ],
)
def test_a_coding_or_quantity_is_in_the_value_set_by_system_and_code(coded: dict[str, Any], refused: bool) -> None:
    substance = {"resourceType": "Substance", "code": {"text": "x"}, "instance": [{"quantity": coded}]}
    encounter = {"resourceType": "Encounter", "status": "planned", "class": coded}

    assert found(substance) == [("code-invalid", "Substance.instance[0].quantity")] * refused
    assert found(encounter) == [("code-invalid", "Encounter.class")] * refused


def test_a_value_set_that_cannot_be_listed_is_not_checked() -> None:
    assert found({"resourceType": "Substance", "code": {"text": "x"}, "status": "of any kind"}) == []
    assert found({"resourceType": "Substance", "code": {"text": "x"}, "status": " "}) == [("value", "Substance.status")]


def test_a_unit_that_is_none_is_told_with_its_place_and_what_is_near() -> None:
    quantity = {"value": 1, "system": UCUM, "code": "ml/hr"}
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": quantity}

    issues = VALIDATOR.validate(resource)

    assert [(issue.severity, issue.code, issue.expression, issue.diagnostics) for issue in issues] == [
        ("error", "code-invalid", "Observation.value.code", "UCUM has no unit hr (position 3). Did you mean h?")
    ]


@pytest.mark.parametrize(
    ("unit", "refused"),
    [
        ({"coding": [{"system": UCUM, "code": "kg"}]}, False),
        ({"coding": [{"system": "http://example.org", "code": "x"}, {"system": UCUM, "code": "{score}"}]}, False),
        ({"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]}, False),
        ({"coding": [{"system": "http://example.org", "code": "kg"}]}, True),
        ({"text": "kg"}, True),
    ],
)
def test_a_concept_that_has_to_be_a_unit_has_a_coding_of_ucum(unit: dict[str, Any], refused: bool) -> None:
    synthesis = {
        "resourceType": "RiskEvidenceSynthesis",
        "status": "draft",
        "population": {"reference": "EvidenceVariable/1"},
        "outcome": {"reference": "EvidenceVariable/2"},
        "riskEstimate": {"unitOfMeasure": unit},
    }

    assert found(synthesis) == [("code-invalid", "RiskEvidenceSynthesis.riskEstimate.unitOfMeasure")] * refused
