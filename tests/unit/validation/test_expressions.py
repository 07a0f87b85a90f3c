"""Definitions whose FHIRPath nobody could evaluate. https://hl7.org/fhir/R4/fhirpath.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation.expressions import check_expressions


def structure(*expressions: Any) -> dict[str, Any]:
    """Return a StructureDefinition with these constraints, the first of which is on an element of its own."""
    rows = [{"key": f"a-{place}", "expression": one} for place, one in enumerate(expressions)]
    elements = [{"path": "Patient"}, {"path": "Patient.name", "constraint": rows}]
    return {"resourceType": "StructureDefinition", "differential": {"element": elements}}


def told(resource: Any) -> list[tuple[str, str, str]]:
    """Return severity, code and path of what is found."""
    return [(row.severity, row.code, row.path) for row in check_expressions(resource) or ()]


def test_expressions_that_are_fhirpath() -> None:
    assert (
        told(structure("name.exists() or telecom.exists()", "memberOf('http://example.org/v')", "%resource.id")) == []
    )
    assert told({"resourceType": "SearchParameter", "expression": "Patient.name | Person.name"}) == []


def test_expressions_that_are_none() -> None:
    place = ".differential.element[1].constraint[1].expression"
    assert told(structure("true", "name.(")) == [("error", "invalid", place)]
    assert told({"resourceType": "SearchParameter", "expression": "Patient.name("}) == [
        ("error", "invalid", ".expression")
    ]
    found = check_expressions(structure("name.(")) or []
    assert "character" in found[0].text or "column" in found[0].text or "position" in found[0].text, found[0].text


@pytest.mark.parametrize("value", [None, 7, [], {}, ["x"], [[7]]])
def test_what_is_malformed_is_somebody_elses_finding(value: Any) -> None:
    assert told(structure(value)) == []
    assert told({"resourceType": "StructureDefinition", "differential": value}) == []
    assert told({"resourceType": "StructureDefinition", "differential": {"element": value}}) == []
    assert told({"resourceType": "SearchParameter", "expression": value}) == []
