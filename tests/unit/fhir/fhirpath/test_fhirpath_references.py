"""What references say of their targets. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.fhirpath.references import literal_target, target_type


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("Patient/1", ("Patient", "1")),
        ("Patient/1/_history/2", ("Patient", "1")),
        ("Patient/1#part", ("Patient", "1")),
        ("Patient?identifier=a|b/c", ("Patient", "")),
        ("http://example.org/fhir/Patient/1", ("Patient", "1")),
        ("https://example.org/fhir/Patient/1/_history/2", ("Patient", "1")),
        ("http://example.org/Patient/1?x=y", ("Patient", "1")),
        ("http://example.org/nothing/1", None),
        ("urn:uuid:1", None),
        ("ftp://example.org/Patient/1", None),
        ("patient/1", None),
        ("Nothing/1", None),
        ("Patient", None),
        ("", None),
    ],
)
def test_literal_target(reference: str, target: tuple[str, str] | None) -> None:
    assert literal_target(reference) == target


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"reference": "Patient/1"}, "Patient"),
        ({"reference": "urn:uuid:1", "type": "Patient"}, "Patient"),
        ({"type": "http://hl7.org/fhir/StructureDefinition/Group"}, "Group"),
        ({"type": "Nothing"}, None),
        ({"reference": "#o"}, "Organization"),
        ({"reference": "#"}, "Patient"),
        ({"reference": "#none"}, None),
        ({"reference": "#none", "type": "Device"}, "Device"),
        ({"reference": 5}, None),
        ({}, None),
        ("Patient/1", None),
    ],
)
def test_target_type(reference: Any, expected: str | None) -> None:
    container = {"resourceType": "Patient", "contained": [5, {"resourceType": "Organization", "id": "o"}]}
    assert target_type(reference, container) == expected
