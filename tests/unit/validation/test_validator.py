"""The Validator as the write path sees it: nothing for a good resource, every issue with its place for a bad one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Environment
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation import MAX_ISSUES, Validator, invariants


def test_a_good_resource_has_no_issues() -> None:
    patient = {"resourceType": "Patient", "id": "a", "name": [{"family": "Doe", "given": ["Jo"]}], "active": True}

    assert Validator(r4()).validate(patient) == []


def test_all_issues_are_listed_at_once_each_with_its_place() -> None:
    patient = {"resourceType": "Patient", "birthDate": "2026-02-30", "name": [{"given": ["Jo", ""]}]}

    assert Validator(r4()).validate(patient) == [
        Issue("value", "There is no such day in the calendar.", "Patient.birthDate"),
        Issue("value", "The string is empty; leave the member out.", "Patient.name[0].given[1]"),
    ]


NO_NARRATIVE = {"resourceType": "Patient", "contact": [{"gender": "male"}]}


def test_warnings_come_after_the_errors_and_only_for_who_asks() -> None:
    errors = Validator(r4()).validate(NO_NARRATIVE)

    assert [(issue.severity, issue.expression) for issue in errors] == [("error", "Patient.contact[0]")]
    assert Validator(r4()).validate(NO_NARRATIVE, advice=True) == [
        *errors,
        Issue("invariant", "The invariant dom-6 is broken: text.`div`.exists()", "Patient", "warning"),
    ]


def test_warnings_never_crowd_out_an_error() -> None:
    entries = [{"resource": {"resourceType": "Patient"}} for _ in range(MAX_ISSUES + 50)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [*entries, {"resource": NO_NARRATIVE}]}

    issues = Validator(r4()).validate(bundle, advice=True)

    assert (len(issues), issues[0].severity, issues[-1].severity) == (MAX_ISSUES + 1, "error", "information")


def test_an_invariant_that_cannot_be_evaluated_is_information_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "_ENVIRONMENT", Environment(max_steps=1))
    items = [{"linkId": str(number), "type": "string"} for number in range(5)]
    questionnaire = {"resourceType": "Questionnaire", "status": "draft", "item": items}

    assert Validator(r4()).validate(questionnaire) == []
    assert [(i.severity, i.diagnostics) for i in Validator(r4()).validate(questionnaire, advice=True)] == [
        ("information", "The invariant que-2 could not be evaluated: descendants().linkId.isDistinct()"),
        ("warning", "The invariant dom-6 is broken: text.`div`.exists()"),
    ]


def test_a_contained_resource_needs_no_narrative() -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
    contained = {"resourceType": "Organization", "id": "a", "name": "x"}
    patient = {"resourceType": "Patient", "text": text, "contained": [contained]}
    patient |= {"managingOrganization": {"reference": "#a"}}

    assert Validator(r4()).validate(patient, advice=True) == []


LARGE: dict[str, Any] = {
    "paths": {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/a",
        "name": "A",
        "status": "draft",
        "kind": "resource",
        "abstract": True,
        "type": "Patient",
        "differential": {
            "element": [{"id": str(i), "path": "Patient" if i == 0 else "Patient.a"} for i in range(9000)]
        },
    },
    "groupings": {
        "resourceType": "ImplementationGuide",
        "url": "http://example.org/a",
        "name": "A",
        "status": "draft",
        "packageId": "a",
        "fhirVersion": ["4.0.1"],
        "definition": {
            "grouping": [{"id": f"g{i}", "name": "x"} for i in range(9000)],
            "resource": [{"reference": {"reference": "Patient/1"}, "groupingId": f"g{i}"} for i in range(9000)],
        },
    },
    "contained": {
        "resourceType": "CareTeam",
        "contained": [{"resourceType": "Practitioner", "id": f"p{i}"} for i in range(9000)],
        "participant": [
            {"member": {"reference": f"#p{i}"}, "onBehalfOf": {"reference": "Organization/1"}} for i in range(9000)
        ],
    },
    "codes": {
        "resourceType": "Observation",
        "status": "final",
        "valueString": "x",
        "code": {"coding": [{"code": f"a{i}"} for i in range(9000)]},
        "component": [{"code": {"coding": [{"code": f"b{i}"}]}} for i in range(9000)],
    },
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_resource_costs_no_more_than_its_size(name: str) -> None:
    validator = Validator(r4())
    start = time.process_time()

    assert validator.validate(LARGE[name]) == []
    assert time.process_time() - start < 5
