"""Tokens. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.token import asked_of_type, asked_token, implied_system

LOINC = "http://loinc.org"
GENDER = "http://hl7.org/fhir/administrative-gender"

PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "gender": "female",
    "telecom": [{"system": "phone", "value": "555-1"}],
    "identifier": [
        {
            "system": "urn:mrn",
            "value": "Ab|12",
            "type": {"coding": [{"system": "urn:types", "code": "MR", "display": "Médical record"}], "text": "Chart"},
        },
        {"value": "bare"},
    ],
}
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "85354-9", "display": "BP panel"}, {"code": "local"}], "text": "Häm"},
    "meta": {"tag": [{"system": "urn:tags", "code": "Demo", "display": "For show"}]},
}
NOTHING = {"resourceType": "Observation"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1", (None, "a1")),
        ("urn:s|A1", ("urn:s", "a1")),
        ("|A1", ("", "a1")),
        ("urn:s|", ("urn:s", None)),
        (r"a\|b", (None, "a|b")),
        (r"urn:s|a\|b\,c\$d\\", ("urn:s", "a|b,c$d\\")),
        (r"a\\|b", ("a\\", "b")),
        ("urn:s|a|b", ("urn:s", "a|b")),
    ],
)
def test_token_values(text: str, expected: tuple[str | None, str | None]) -> None:
    assert asked_token(text) == expected


@pytest.mark.parametrize("text", ["", "|"])
def test_token_without_anything_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="system"):
        asked_token(text)


@pytest.mark.parametrize("text", ["", "a|b", "a|b|", "|b|c", "a||c", "a|b|c|d"])
def test_of_type_needs_three_parts(text: str) -> None:
    with pytest.raises(ValueError, match="system"):
        asked_of_type(text)


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (OBSERVATION, "code", "85354-9", True),
        (OBSERVATION, "code", "85354", False),
        (OBSERVATION, "code", f"{LOINC}|85354-9", True),
        (OBSERVATION, "code", "http://LOINC.org|85354-9", False),
        (OBSERVATION, "code", f"{LOINC}|local", False),
        (OBSERVATION, "code", "|local", True),
        (OBSERVATION, "code", "|85354-9", False),
        (OBSERVATION, "code", f"{LOINC}|", True),
        (OBSERVATION, "code", "urn:other|", False),
        (OBSERVATION, "code", "LOCAL", True),
        (OBSERVATION, "_tag", "urn:tags|demo", True),
        (NOTHING, "code", "local", False),
        ({"resourceType": "Observation", "code": {"coding": [{"system": LOINC}]}}, "code", f"{LOINC}|", True),
        ({"resourceType": "Observation", "code": {"coding": [{"system": LOINC}]}}, "code", "|local", False),
        ({"resourceType": "Patient", "identifier": [{"system": "urn:mrn"}]}, "identifier", "urn:mrn|", True),
        ({"resourceType": "Patient", "telecom": [{"system": "phone"}]}, "telecom", "phone|", False),
        (PATIENT, "gender", "female", True),
        (PATIENT, "gender", "FEMALE", True),
        (PATIENT, "gender", "male", False),
        (PATIENT, "gender", f"{GENDER}|female", True),
        (PATIENT, "gender", f"{GENDER}|", True),
        (PATIENT, "gender", "urn:other|female", False),
        (PATIENT, "gender", "|female", True),
        (PATIENT, "active", "true", True),
        (PATIENT, "active", "http://terminology.hl7.org/CodeSystem/special-values|true", True),
        (PATIENT, "active", "false", False),
        (PATIENT, "deceased", "false", True),
        (PATIENT, "phone", "555-1", True),
        (PATIENT, "email", "555-1", False),
        (PATIENT, "identifier", r"urn:mrn|ab\|12", True),
        (PATIENT, "identifier", r"ab\|12", True),
        (PATIENT, "identifier", r"|ab\|12", False),
        (PATIENT, "identifier", "|bare", True),
    ],
)
def test_tokens(
    matches: Callable[..., bool], resource: dict[str, Any], name: str, value: str, *, expected: bool
) -> None:
    assert matches(resource, name, value) is expected
    assert matches(resource, f"{name}:not", value) is not expected


def test_one_of_several_values_is_enough_and_not_wants_none(matches: Callable[..., bool]) -> None:
    assert matches(OBSERVATION, "code", "x", "local")
    assert not matches(OBSERVATION, "code:not", "x", "local")
    assert matches(OBSERVATION, "code:not", "x", "y")


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (OBSERVATION, "code:text", "ham", True),
        (OBSERVATION, "code:text", "bp PAN", True),
        (OBSERVATION, "code:text", "panel", False),
        (OBSERVATION, "code:text", "85354-9", False),
        (OBSERVATION, "_tag:text", "for", True),
        (PATIENT, "identifier:text", "medical", False),
        (PATIENT, "identifier:text", "chart", True),
        (PATIENT, "identifier:text", "bare", False),
        (PATIENT, "identifier:of-type", r"urn:types|mr|ab\|12", True),
        (PATIENT, "identifier:of-type", "urn:types|MR|bare", False),
        (PATIENT, "identifier:of-type", r"urn:other|MR|ab\|12", False),
        (PATIENT, "identifier:of-type", r"urn:types|DL|ab\|12", False),
        (NOTHING, "code:text", "ham", False),
        (PATIENT, "gender:text", "fem", True),
        (PATIENT, "active:text", "true", False),
    ],
)
def test_text_and_type(
    matches: Callable[..., bool], resource: dict[str, Any], name: str, value: str, *, expected: bool
) -> None:
    assert matches(resource, name, value) is expected


@pytest.mark.parametrize(
    ("resource", "name", "codes", "expected"),
    [
        (OBSERVATION, "code", {(LOINC, "85354-9")}, True),
        (OBSERVATION, "code", {(LOINC, "1-1"), ("", "LOCAL")}, True),
        (OBSERVATION, "code", {("urn:other", "85354-9")}, False),
        (OBSERVATION, "code", set(), False),
        (NOTHING, "code", {(LOINC, "85354-9")}, False),
        (PATIENT, "gender", {(GENDER, "female")}, True),
        (PATIENT, "gender", {("urn:other", "female")}, False),
        ({"resourceType": "OperationDefinition", "code": "do"}, "code", {("urn:any", "DO")}, True),
        ({"resourceType": "OperationDefinition", "code": "do"}, "code", {("urn:any", "undo")}, False),
    ],
)
def test_codes_in_value_sets(
    matches: Callable[..., bool],
    resource: dict[str, Any],
    name: str,
    codes: set[tuple[str, str]],
    *,
    expected: bool,
) -> None:
    expanded = {"http://set": frozenset(codes)}
    assert matches(resource, f"{name}:in", "http://set", codes=expanded) is expected
    assert matches(resource, f"{name}:not-in", "http://set", codes=expanded) is not expected
    assert matches(resource, f"{name}:below", "http://set", codes=expanded) is expected
    assert matches(resource, f"{name}:above", "http://set", codes=expanded) is expected


def test_a_value_set_that_is_not_known_is_refused(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        matches(OBSERVATION, "code:in", "http://set")
    assert refused.value.issues[0].code == "not-found"
    assert refused.value.issues[0].location == "http.code"


@pytest.mark.parametrize("modifier", ["exact", "contains", "identifier", "Patient", "nonsense"])
def test_modifiers_of_other_types_are_refused(matches: Callable[..., bool], modifier: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        matches(OBSERVATION, f"code:{modifier}", "x")
    assert refused.value.issues[0].code == "not-supported"
    assert refused.value.issues[0].location == "http.code"


@pytest.mark.parametrize(("name", "value"), [("code", "|"), ("code:text", " "), ("code:of-type", "a|b")])
def test_malformed_values_are_refused(matches: Callable[..., bool], name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="code must be") as refused:
        matches(OBSERVATION, name, value)
    assert refused.value.issues[0].code == "invalid"


@pytest.mark.parametrize(
    ("resource_type", "expression", "expected"),
    [
        ("Patient", "Patient.gender", GENDER),
        ("Patient", "Patient.telecom.use", "http://hl7.org/fhir/contact-point-use"),
        ("Patient", "Patient.gender | Patient.contact.gender", GENDER),
        ("Patient", "Patient.gender | Patient.telecom.use", ""),
        ("Patient", "Patient.name.where(use = 'old').use", ""),
        ("Library", "Library.content.contentType", "urn:ietf:bcp:13"),
        ("DocumentReference", "DocumentReference.content.attachment.language", "urn:ietf:bcp:47"),
        ("Task", "Task.intent", ""),
        ("OperationDefinition", "OperationDefinition.code", ""),
        ("Patient", "Patient.maritalStatus", ""),
        ("Patient", "Patient.deceased", ""),
        ("Patient", "Patient.nothing", ""),
        ("Patient", "", ""),
    ],
)
def test_systems_that_a_binding_implies(resource_type: str, expression: str, expected: str) -> None:
    assert implied_system(resource_type, expression) == expected
