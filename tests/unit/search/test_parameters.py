"""The search parameters of R4 as this server knows them. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.search.moments import principal_date
from fhir_server.search.parameters import BUILT_IN, INDEXED_TYPES, NOT_INDEXED, Parameters

PARAMETERS = Parameters(r4())


def test_a_type_has_its_own_parameters_and_those_of_every_resource() -> None:
    patient = PARAMETERS.of("Patient")
    assert {"family", "birthdate", "_id", "_lastUpdated", "_tag", "_profile", "_security"} <= set(patient)
    assert "value-quantity" not in patient
    assert PARAMETERS.of("Patient") is patient


@pytest.mark.parametrize(
    ("resource_type", "code", "index_name", "target"),
    [
        ("Observation", "subject", "Observation.subject", ""),
        ("Observation", "patient", "Observation.subject", "Patient"),
        ("Encounter", "patient", "Encounter.subject", "Patient"),
        ("Condition", "patient", "Condition.subject", "Patient"),
        ("Immunization", "patient", "Immunization.patient", ""),
    ],
)
def test_a_parameter_that_narrows_another_shares_its_index(
    resource_type: str, code: str, index_name: str, target: str
) -> None:
    found = PARAMETERS.of(resource_type)[code]
    assert (found.index_name, found.target_type) == (index_name, target)


@pytest.mark.parametrize("resource_type", sorted(r4().resource_types))
def test_what_is_indexed_can_be_evaluated_and_is_indexed_once(resource_type: str) -> None:
    names = []
    for parameter in PARAMETERS.indexed(resource_type):
        assert parameter.type in INDEXED_TYPES
        assert parameter.code not in BUILT_IN | NOT_INDEXED
        values = [node.value for node in parameter.path.evaluate({"resourceType": resource_type})]
        assert values in ([], [False])  # Patient.deceased is false where nothing is said
        names.append(parameter.index_name)
    assert len(names) == len(set(names)) > 0
    owners = set(names)
    for parameter in PARAMETERS.of(resource_type).values():
        if parameter.alias_of and parameter.type in INDEXED_TYPES:
            assert parameter.index_name in owners


def test_a_union_keeps_the_branches_of_the_type() -> None:
    assert PARAMETERS.of("Patient")["email"].expression == "Patient.telecom.where(system='email')"
    assert PARAMETERS.of("Person")["email"].expression == "Person.telecom.where(system='email')"


@pytest.mark.parametrize(
    ("resource_type", "code"),
    [
        ("Observation", "date"),
        ("Encounter", "date"),
        ("MedicationRequest", "authoredon"),
        ("Patient", "birthdate"),
        ("Condition", "onset-date"),
        ("Organization", ""),
    ],
)
def test_newest_first_goes_by_the_principal_date(resource_type: str, code: str) -> None:
    assert principal_date(resource_type, PARAMETERS.of(resource_type)) == code
