"""What the expression of a tenant's search parameter may use."""

from __future__ import annotations

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import FhirPathSyntaxError
from fhir_server.search.expressions import is_path, objection


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("Patient.descendants()", "descendants()"),
        ("Patient.name.given.select(%resource.name.given)", "%resource"),
        ("Patient.name.where(%'us-zip' = 'x')", "%us-zip"),
        ("Patient.name.repeat(given)", "repeat()"),
        ("Patient.name.family.where($this.matches('(a+)+$'))", "matches()"),
        ("Patient.name.family | now()", "now()"),
        ("/* ' */ Patient.descendants() /* ' */", "descendants()"),
        ("iif(Patient.active, Patient.gender, Patient.name.given.toChars())", "toChars()"),
        ("-Patient.name.given[Patient.name.aggregate($total + 1)].length()", "aggregate()"),
        ("Patient.managingOrganization.resolve().name", "resolve()"),
        ("Patient.link.where(other.resolve() is Patient).other.resolve()", "resolve()"),
        ("Patient.generalPractitioner.where(resolve().name is HumanName)", "resolve()"),
    ],
)
def test_what_could_take_long_or_look_elsewhere_is_named(expression: str, name: str) -> None:
    assert objection(expression).startswith(f"{name} is ")


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.generalPractitioner.where(resolve() is Organization)",
        "Patient.generalPractitioner.where(resolve().is(Organization))",
        "Patient.link.where(other.resolve() is Patient).other",
        "Patient.extension.where(url = 'http://descendants()/%x').value.as(Coding).code",
        "(Observation.value as Quantity) | Observation.component.value.ofType(Quantity)",
    ],
)
def test_what_reads_the_resource_is_allowed(expression: str) -> None:
    assert objection(expression) == ""


def test_all_but_a_few_expressions_of_the_specification_would_be_allowed() -> None:
    rows = {(r.url, objection(r.expression)) for r in r4().search_parameters if r.expression}
    assert {text for _, text in rows if text} == set()
    assert len(rows) > 1300


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("code", True),
        ("$this", True),
        ("value.as(Quantity) | value.as(Range)", True),
        ("value as Quantity", True),
        ("code.coding.where(system = 'x')", False),
        ("%resource.code", False),
        ("value[0]", False),
        ("code.first()", False),
    ],
)
def test_a_part_of_a_composite_is_a_path(expression: str, expected: bool) -> None:
    assert is_path(expression) is expected


def test_what_is_no_expression_is_an_error() -> None:
    for text in ("Patient.", "(" * 5000 + "Patient" + ")" * 5000):
        with pytest.raises(FhirPathSyntaxError):
            objection(text)
