"""One filter and one resource: `:missing`, several types, what is refused. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching import MODIFIERS, Setting, matcher, nodes_test
from fhir_server.search.matching.asking import split
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import Filter

ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", ["a", "b"]),
        (r"a\|b", [r"a\|b"]),
        (r"a\\|b", [r"a\\", "b"]),
        (r"a\\\|b|", [r"a\\\|b", ""]),
        ("", [""]),
        ("|", ["", ""]),
        ("a\\", ["a\\"]),
    ],
)
def test_values_are_split_at_bars_that_are_not_escaped(text: str, expected: list[str]) -> None:
    assert split(text, "|") == expected


@pytest.mark.parametrize(
    ("resource", "name", "is_missing"),
    [
        ({"resourceType": "Patient"}, "birthdate", True),
        ({"resourceType": "Patient", "birthDate": "1990"}, "birthdate", False),
        ({"resourceType": "Patient", "_birthDate": ABSENT}, "birthdate", True),
        ({"resourceType": "Patient", "name": [{"id": "1", **ABSENT}]}, "name", True),
        ({"resourceType": "Patient", "name": [{"text": "A"}]}, "name", False),
        ({"resourceType": "Patient", "active": False}, "active", False),
        ({"resourceType": "Observation", "code": {"text": "a"}}, "code", False),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, "subject", False),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, "patient", True),
        ({"resourceType": "Observation", "valueString": "a"}, "value-quantity", True),
        ({"resourceType": "Observation", "valueQuantity": {"value": Decimal(1)}}, "value-quantity", False),
        ({"resourceType": "ValueSet", "url": "http://a"}, "url", False),
        ({"resourceType": "ChargeItem"}, "factor-override", True),
        ({"resourceType": "Location"}, "near", True),
        ({"resourceType": "Observation", "component": []}, "component-code-value-quantity", True),
    ],
)
def test_missing(matches: Callable[..., bool], resource: dict[str, Any], name: str, *, is_missing: bool) -> None:
    assert matches(resource, f"{name}:missing", "true") is is_missing
    assert matches(resource, f"{name}:missing", "false") is not is_missing
    assert matches(resource, f"{name}:missing", "true", "false")


@pytest.mark.parametrize("value", ["", "TRUE", "yes", "1"])
def test_missing_takes_true_or_false(matches: Callable[..., bool], value: str) -> None:
    with pytest.raises(InvalidRequest, match="birthdate must be true or false with :missing"):
        matches({"resourceType": "Patient"}, "birthdate:missing", value)


def test_the_parameter_of_the_resource_s_own_type_decides(parameters: Parameters) -> None:
    rows = tuple(parameters.of(name)["status"] for name in ("Observation", "MedicationRequest"))
    one = Filter(rows[0], "", ("http://hl7.org/fhir/observation-status|final",), per_type=rows)
    matches = matcher(one, parameters, Setting(0))
    assert matches({"resourceType": "Observation", "status": "final"})
    assert not matches({"resourceType": "MedicationRequest", "status": "final"})
    assert not matches({"resourceType": "DiagnosticReport", "status": "final"})


def test_a_chain_is_not_decided_here(parameters: Parameters) -> None:
    with pytest.raises(ValueError, match="chain"):
        matcher(Filter(parameters.of("Observation")["subject"], "", ("a",), chain="name"), parameters, Setting(0))


@pytest.mark.parametrize(("resource_type", "code"), [("MolecularSequence", "_query"), ("Patient", "_filter")])
def test_a_parameter_that_selects_nothing_is_refused(
    matches: Callable[..., bool], resource_type: str, code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        matches({"resourceType": resource_type}, code, "a")
    assert refused.value.issues[0].code == "not-supported"


@pytest.mark.parametrize(
    ("name", "value"),
    [("birthdate", "1990"), ("gender", "male"), ("name", "ann"), ("organization", "1"), ("link", "1")],
)
def test_nodes_selected_elsewhere_can_be_tested(parameters: Parameters, name: str, value: str) -> None:
    parameter = parameters.of("Patient")[name]
    patient = {
        "resourceType": "Patient",
        "birthDate": "1990",
        "gender": "male",
        "name": [{"given": ["Ann"]}],
        "managingOrganization": {"reference": "Organization/1"},
        "link": [{"other": {"reference": "Patient/1"}}],
    }
    test = nodes_test(Filter(parameter, "", (value,)), parameters, Setting(0))
    assert test(parameter.path.evaluate(patient), patient)
    assert not test((), patient)


def test_every_type_of_parameter_has_its_modifiers(parameters: Parameters) -> None:
    kinds = {
        p.type for name in ("Observation", "Location", "ValueSet", "ChargeItem") for p in parameters.of(name).values()
    }
    assert kinds == set(MODIFIERS)
