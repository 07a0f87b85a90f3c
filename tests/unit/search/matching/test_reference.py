"""References. https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.reference import ReferenceAsked, asked_reference, type_of

HERE = "http://here.example/fhir"
THERE = "http://there.example/fhir"


def about(reference: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "subject": {"reference": reference, **more}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", ReferenceAsked("7", True)),
        ("Patient/7", ReferenceAsked("Patient/7", False)),
        ("Patient/7/_history/2", ReferenceAsked("Patient/7", False)),
        (f"{HERE}/Patient/7", ReferenceAsked("Patient/7", False)),
        (f"{THERE}/Patient/7", ReferenceAsked(f"{THERE}/Patient/7", False)),
        ("urn:uuid:7", ReferenceAsked("urn:uuid:7", False)),
        (r"http://x\|1", ReferenceAsked("http://x|1", False)),
    ],
)
def test_reference_values(text: str, expected: ReferenceAsked) -> None:
    assert asked_reference(text, HERE) == expected


@pytest.mark.parametrize("text", ["", " ", "Patient/ 7"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an id"):
        asked_reference(text)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("Patient/7", "Patient"), (f"{THERE}/Group/7", "Group"), ("urn:uuid:7", ""), ("Nonsense/7", ""), ("7", "")],
)
def test_the_type_that_a_reference_names(key: str, expected: str) -> None:
    assert type_of(key) == expected


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (about("Patient/7"), "subject", "7", True),
        (about("Patient/7"), "subject", "Patient/7", True),
        (about("Patient/7"), "subject", "Patient/7/_history/3", True),
        (about("Patient/7/_history/2"), "subject", "Patient/7", True),
        (about("Patient/7/_history/2"), "subject", "7", True),
        (about("Patient/7"), "subject", f"{HERE}/Patient/7", True),
        (about(f"{HERE}/Patient/7"), "subject", "7", True),
        (about("Patient/7"), "subject", f"{THERE}/Patient/7", False),
        (about(f"{THERE}/Patient/7"), "subject", f"{THERE}/Patient/7", True),
        (about(f"{THERE}/Patient/7"), "subject", "7", False),
        (about(f"{THERE}/Patient/7"), "subject", "Patient/7", False),
        (about("Patient/77"), "subject", "7", False),
        (about("Group/7"), "subject", "7", True),
        (about("Group/7"), "subject", "Patient/7", False),
        (about("Practitioner/7"), "subject", "7", False),
        (about("urn:uuid:7"), "subject", "urn:uuid:7", True),
        (about("#7"), "subject", "7", False),
        (about("Group/7"), "subject:Group", "7", True),
        (about("Group/7"), "subject:Patient", "7", False),
        (about("Group/7"), "subject:Patient", "Group/7", False),
        (about("Patient/7"), "subject:Patient", "Patient/7", True),
        (about(f"{THERE}/Patient/7"), "subject:Patient", f"{THERE}/Patient/7", True),
        (about(f"{THERE}/Patient/7"), "subject:Group", f"{THERE}/Patient/7", False),
        (about("urn:uuid:7"), "subject:Patient", "urn:uuid:7", True),
        (about("urn:uuid:7", type="Group"), "subject:Patient", "urn:uuid:7", False),
        (about("urn:uuid:7", type="Group"), "subject:Group", "urn:uuid:7", True),
        (about("Patient/7"), "patient", "7", True),
        (about("Patient/7"), "patient", "Patient/7", True),
        (about("Group/7"), "patient", "7", False),
        (about("Group/7"), "patient", "Group/7", False),
        ({"resourceType": "Observation"}, "subject", "7", False),
        ({"resourceType": "Observation", "subject": {"display": "7"}}, "subject", "7", False),
    ],
)
def test_references(
    matches: Callable[..., bool], resource: dict[str, Any], name: str, value: str, *, expected: bool
) -> None:
    assert matches(resource, name, value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    assert matches(about("Patient/7"), "subject", "6", "7")
    assert matches(about("Patient/7"), "subject", "Group/7", "Patient/7")
    assert not matches(about("Patient/7"), "subject", "6", "8")


@pytest.mark.parametrize(
    ("held", "value", "expected"),
    [
        ("http://x/vs", "http://x/vs", True),
        ("http://x/vs|1.0", "http://x/vs", True),
        ("http://x/vs|1.0", "http://x/vs|1.0", True),
        ("http://x/vs|1.0", "http://x/vs|1", False),
        ("http://x/vs", "http://x/vs|1.0", False),
        ("http://x/vs2", "http://x/vs", False),
        ("Measure/7", "7", True),
    ],
)
def test_canonicals(matches: Callable[..., bool], held: str, value: str, *, expected: bool) -> None:
    report = {"resourceType": "MeasureReport", "measure": held}
    assert matches(report, "measure", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("urn:mrn|A1", True),
        ("urn:mrn|a1", True),
        ("a1", True),
        ("urn:mrn|", True),
        ("|a1", False),
        ("urn:x|a1", False),
        ("7", False),
    ],
)
def test_identifiers(matches: Callable[..., bool], value: str, *, expected: bool) -> None:
    resource = about("Patient/7", identifier={"system": "urn:mrn", "value": "A1"})
    assert matches(resource, "subject:identifier", value) is expected


def test_a_type_that_the_parameter_never_refers_to_is_refused(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest, match="subject never refers to a Medication; it refers to") as refused:
        matches(about("Patient/7"), "subject:Medication", "7")
    assert refused.value.issues[0].location == "http.subject"
    with pytest.raises(InvalidRequest, match="patient never refers to a Group; it refers to Patient"):
        matches(about("Patient/7"), "patient:Group", "7")


@pytest.mark.parametrize("modifier", ["above", "below", "text", "not", "exact", "patient", "Nonsense"])
def test_modifiers_it_does_not_have_are_refused(matches: Callable[..., bool], modifier: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        matches(about("Patient/7"), f"subject:{modifier}", "7")
    assert refused.value.issues[0].code == "not-supported"


@pytest.mark.parametrize(("name", "value"), [("subject", ""), ("subject:Patient", "a b"), ("subject:identifier", "|")])
def test_malformed_values_are_refused(matches: Callable[..., bool], name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="subject must be"):
        matches(about("Patient/7"), name, value)
