"""Where in the JSON the selected elements are. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

import pytest

from fhir_server.fhir.fhirpath import FhirPathBudgetExceeded, FhirPathEvaluationError, FhirPathSemanticError, locate

PATIENT = {
    "resourceType": "Patient",
    "birthDate": "2000-01-01",
    "_birthDate": {"extension": [{"url": "b", "valueCode": "c"}]},
    "deceasedBoolean": False,
    "name": [
        {"use": "official", "given": ["A", None, "B"], "_given": [None, {"extension": [{"url": "g"}]}, None]},
        {"use": "usual", "given": ["A"]},
    ],
    "contained": [{"resourceType": "Organization", "name": "o"}],
    "extension": [{"url": "x", "valueString": "1"}, {"url": "y", "valueString": "2"}],
}


@pytest.mark.parametrize(
    ("expression", "locations"),
    [
        ("Patient", [()]),
        ("Patient.birthDate", [("birthDate",)]),
        ("Patient.deceased", [("deceasedBoolean",)]),
        ("Patient.deceased.ofType(boolean)", [("deceasedBoolean",)]),
        ("Patient.deceased as boolean", [("deceasedBoolean",)]),
        ("Patient.name[1]", [("name", 1)]),
        (
            "Patient.name.given",
            [("name", 0, "given", 0), ("name", 0, "given", 1), ("name", 0, "given", 2), ("name", 1, "given", 0)],
        ),
        ("Patient.name.where(use = 'usual').given.first()", [("name", 1, "given", 0)]),
        ("Patient.name.where(given = 'A').use", [("name", 1, "use")]),
        ("Patient.extension('y').value", [("extension", 1, "valueString")]),
        ("Patient.extension.where(url = 'y')", [("extension", 1)]),
        ("birthDate.extension", [("_birthDate", "extension", 0)]),
        ("birthDate.extension('b').value", [("_birthDate", "extension", 0, "valueCode")]),
        ("name.given.extension", [("name", 0, "_given", 1, "extension", 0)]),
        ("contained.name", [("contained", 0, "name")]),
        ("descendants().where($this = 'o')", [("contained", 0, "name")]),
        ("name.first().children().ofType(code)", [("name", 0, "use")]),
        ("name.skip(1) | name.take(1)", [("name", 1), ("name", 0)]),
        ("Patient.contact", []),
        ("Practitioner.name", []),
    ],
)
def test_locate(expression: str, locations: list[tuple[str | int, ...]]) -> None:
    assert locate(expression, PATIENT) == locations


def test_computed_values_have_no_location() -> None:
    with pytest.raises(FhirPathEvaluationError, match="does not select elements"):
        locate("Patient.name.count()", PATIENT)


def test_patterns_are_not_for_strangers() -> None:
    with pytest.raises(FhirPathSemanticError, match=r"matches\(\) is not allowed"):
        locate("Patient.name.where(use.matches('(a+)+$'))", PATIENT)


def test_work_on_paths_of_strangers_is_bounded() -> None:
    with pytest.raises(FhirPathBudgetExceeded, match="more than 100000 steps"):
        locate("(1).repeat($this + 1)", PATIENT)
