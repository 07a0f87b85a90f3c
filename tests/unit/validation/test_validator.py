"""The Validator as the write path sees it: nothing for a good resource, every issue with its place for a bad one."""

from __future__ import annotations

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation import Validator


def test_a_good_resource_has_no_issues() -> None:
    patient = {"resourceType": "Patient", "id": "a", "name": [{"family": "Doe", "given": ["Jo"]}], "active": True}

    assert Validator(r4()).validate(patient) == []


def test_all_issues_are_listed_at_once_each_with_its_place() -> None:
    patient = {"resourceType": "Patient", "birthDate": "2026-02-30", "name": [{"given": ["Jo", ""]}]}

    assert Validator(r4()).validate(patient) == [
        Issue("value", "There is no such day in the calendar.", "Patient.birthDate"),
        Issue("value", "The string is empty; leave the member out.", "Patient.name[0].given[1]"),
    ]
