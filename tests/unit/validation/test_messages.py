"""What an issue says: the way out, in words that need no second look at the specification."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.validation import Validator

CASES = [
    ({"nmae": "x"}, "Patient has no element nmae. Did you mean name?"),
    ({"zzz": "x"}, "Patient has no element zzz."),
    ({"fhir_comments": ["x"]}, "fhir_comments is not part of FHIR R4."),
    ({"_name": [{"id": "x"}]}, "Patient.name is no primitive, so it has no _name."),
    ({"multipleBirth": 2}, "Patient.multipleBirth[x] is written with its type: "
     "multipleBirthBoolean, multipleBirthInteger."),
    ({"multipleBirthString": "x"}, "Patient.multipleBirth[x] cannot be multipleBirthString; allowed: "
     "multipleBirthBoolean, multipleBirthInteger."),
    ({"deceasedDateTime": "2020", "deceasedBoolean": True},
     "Only one of deceasedDateTime, deceasedBoolean may be given."),
    ({"gender": "femal"}, "The code is not in the value set http://hl7.org/fhir/ValueSet/administrative-gender. "
     "Allowed: female, male, other, unknown."),
    ({"communication": [{"preferred": True}]}, "Patient.communication.language is required."),
    ({"birthDate": "2026-02-30"}, "There is no such day in the calendar."),
    ({"birthDate": "30.1.2026"}, "A value of type date is written YYYY, YYYY-MM or YYYY-MM-DD."),
    ({"active": None}, "Expected true or false; null stands for nothing in FHIR: leave the member out."),
    ({"managingOrganization": {"reference": "Organisation/1"}},
     "The reference names an unknown resource type. Did you mean Organization?"),
    ({"managingOrganization": {"reference": "Patient/1"}},
     "A reference to Patient is not allowed here; allowed: Organization."),
]  # fmt: skip


@pytest.mark.parametrize(("members", "text"), CASES)
def test_an_issue_says_what_to_do(members: dict[str, Any], text: str) -> None:
    [issue] = Validator(r4()).validate({"resourceType": "Patient", **members})

    assert issue.diagnostics == text


def test_an_unknown_resource_type_is_guessed() -> None:
    [issue] = Validator(r4()).validate({"resourceType": "Pateint"})

    assert issue.diagnostics == "There is no resource type Pateint. Did you mean Patient?"


def test_names_that_strangers_choose_are_cut_and_made_printable() -> None:
    [issue] = Validator(r4()).validate({"resourceType": "Patient", "a`\n" + "b" * 100: 1})

    assert issue.expression == "Patient.`a\\`\\\\n" + "b" * 58 + "...`"
    assert issue.diagnostics == "Patient has no element a`\\n" + "b" * 58 + "...."
