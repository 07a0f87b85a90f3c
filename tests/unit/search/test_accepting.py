"""Which SearchParameters come into force, and what is said about those that cannot."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.search.accepting import MAX_CUSTOMS, Acceptance
from fhir_server.search.custom import Custom
from fhir_server.search.parameters import Parameters

Json = dict[str, Any]

ACCEPTANCE = Acceptance(r4(), Parameters(r4()))
URL = "http://clinic.example/SearchParameter/"


def parameter(code: str = "eye-color", **changes: Any) -> Json:
    made: Json = {
        "resourceType": "SearchParameter",
        "url": URL + code,
        "name": "Test",
        "status": "active",
        "description": "For a test",
        "code": code,
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.extension('http://clinic.example/eye-color').value",
    }
    return {
        **{k: v for k, v in made.items() if k not in changes},
        **{k: v for k, v in changes.items() if v is not None},
    }


def custom(code: str, key: str = "", **changes: Any) -> Custom:
    return ACCEPTANCE.read(parameter(code, **changes), key or f"SearchParameter/{code}")


def refused(resource: Json, *others: Custom, key: str | None = "") -> list[tuple[str, str]]:
    return [(i.code, i.expression.partition(".")[2]) for i in ACCEPTANCE.findings(resource, others, key)]


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"expression": None}, ("required", "expression")),
        ({"expression": "Patient.extension("}, ("invalid", "expression")),
        ({"expression": "Patient.frobnicate()"}, ("invalid", "expression")),
        ({"expression": "Patient.eyeColor"}, ("invalid", "expression")),
        ({"expression": "Observation.code"}, ("invalid", "expression")),
        ({"expression": "Patient.extension('http://clinic.example/eye-color')"}, ("invalid", "expression")),
        ({"expression": "Patient.birthDate"}, ("invalid", "expression")),
        ({"expression": "Patient.name.family.matches('(a+)+$')"}, ("invalid", "expression")),
        ({"expression": "iif(today() > @2020-01-01, Patient.gender)"}, ("invalid", "expression")),
        ({"expression": "Patient.managingOrganization.resolve().name"}, ("invalid", "expression")),
        ({"expression": "Patient.gender | " * 200 + "Patient.gender"}, ("invalid", "expression")),
        ({"base": ["Patient", "Observation"]}, ("invalid", "expression")),
        ({"type": "special"}, ("not-supported", "type")),
        ({"type": "date", "expression": "Patient.gender"}, ("invalid", "expression")),
        ({"code": "_eye"}, ("value", "code")),
        ({"code": "eye:color"}, ("value", "code")),
        ({"code": "gender"}, ("business-rule", "code")),
        ({"type": "composite", "expression": "Patient"}, ("required", "component")),
    ],
    ids=str,
)
def test_what_cannot_be_indexed_is_refused_by_its_element(changes: Json, issue: tuple[str, str]) -> None:
    assert refused(parameter(**changes)) == [issue]


@pytest.mark.parametrize("status", ["draft", "retired", "unknown"])
def test_one_that_is_not_active_may_say_what_it_likes(status: str) -> None:
    assert refused(parameter(status=status, expression="(", code="gender")) == []
    assert ACCEPTANCE.in_force([("SearchParameter/a", parameter(status=status))], (), 1) == []


def test_one_with_the_url_of_the_specification_or_derived_from_it_is_served_already() -> None:
    core = "http://hl7.org/fhir/SearchParameter/individual-gender"
    for resource in (
        parameter("gender", url=core),
        parameter("gender", derivedFrom=core + "|4.0.1", expression="Patient.gender"),
        parameter("gender", expression="Patient.gender"),
    ):
        assert refused(resource) == []
        assert ACCEPTANCE.in_force([("SearchParameter/a", resource)], (), 1) == []


def test_a_code_of_any_type_below_an_abstract_base_is_taken() -> None:
    issues = ACCEPTANCE.findings(parameter("name", base=["Resource"], expression="Resource.language"), ())
    assert [i.expression for i in issues] == ["SearchParameter.code"]
    assert refused(parameter("lang", base=["Resource"], expression="Resource.language")) == []


def test_two_cannot_share_a_code_or_a_url() -> None:
    other = custom("eye-color", "SearchParameter/first")
    assert refused(parameter("eye-color", url=URL + "2"), other) == [("duplicate", "code")]
    assert refused(parameter("iris", url=other.url), other) == [("duplicate", "url")]
    assert refused(parameter("eye-color"), other, key="SearchParameter/first") == []
    assert refused(parameter("eye-color"), other, key=None) == []
    assert refused(parameter("eye-color", url=URL + "2", base=["Person"], expression="Person.gender"), other) == []


def test_there_is_a_limit() -> None:
    others = [custom(f"p{n}") for n in range(MAX_CUSTOMS)]
    assert refused(parameter("one-more"), *others) == [("too-costly", "status")]
    assert refused(parameter("p0"), *others, key="SearchParameter/p0") == []


def composite(*parts: tuple[str, str]) -> Json:
    components = [{"definition": url, "expression": expression} for url, expression in parts]
    return parameter("pair", type="composite", expression="Patient.name", component=components)


def test_the_parts_of_a_composite_are_known_and_plain() -> None:
    core = ("http://hl7.org/fhir/SearchParameter/individual-given", "given")
    own = (URL + "suffix", "suffix.where(length() > 2)")
    assert refused(composite(core, own)) == [
        ("not-found", "component[1].definition"),
        ("invalid", "component[1].expression"),
    ]
    suffix = custom("suffix", type="string", expression="Patient.name.suffix")
    assert refused(composite(core, (own[0] + "|1", "suffix")), suffix) == []


def test_the_set_keeps_what_is_in_force_against_newcomers_and_knows_what_is_new() -> None:
    first = ACCEPTANCE.in_force([("SearchParameter/b", parameter("eye-color"))], (), 3)
    assert [(c.key, c.since, c.ready) for c in first] == [("SearchParameter/b", 3, False)]
    clash = ("SearchParameter/a", parameter("eye-color", url=URL + "other"))
    second = ACCEPTANCE.in_force([clash, ("SearchParameter/b", parameter("eye-color", name="Renamed"))], first, 4)
    assert second == first
    changed = parameter("eye-color", expression="Patient.gender")
    third = ACCEPTANCE.in_force([("SearchParameter/b", changed)], first, 5)
    assert [(c.since, c.ready) for c in third] == [(5, False)]
    assert third[0].digest != first[0].digest
    assert ACCEPTANCE.in_force([clash], first, 6)[0].key == "SearchParameter/a"


def test_a_composite_goes_with_its_part() -> None:
    pair = composite(("http://hl7.org/fhir/SearchParameter/individual-given", "given"), (URL + "suffix", "suffix"))
    part = parameter("suffix", type="string", expression="Patient.name.suffix")
    both = [("SearchParameter/a-pair", pair), ("SearchParameter/suffix", part)]
    assert [c.code for c in ACCEPTANCE.in_force(both, (), 1)] == ["pair", "suffix"]
    assert ACCEPTANCE.in_force(both[:1], (), 2) == []


def test_the_way_guides_write_choices_is_understood() -> None:
    made = parameter(expression="Patient.extension.where(url='http://clinic.example/eye').valueCodeableConcept")
    assert refused(made) == []
    assert ACCEPTANCE.read(made, "").expression.endswith(".value.as(CodeableConcept)")
    vs = parameter(base=["StructureDefinition"], expression="StructureDefinition.snapshot.element.binding.valueSet")
    assert ACCEPTANCE.read(vs, "").expression.endswith(".valueSet")


@pytest.mark.parametrize(("package", "count"), [("us_core_311", 2), ("us_core_610", 7)])
def test_those_of_a_published_guide_are_taken(shared_data: Path, package: str, count: int) -> None:
    found = []
    with tarfile.open(shared_data / "ig" / f"{package}.tgz") as archive:
        for member in archive.getmembers():
            if "/SearchParameter-" in member.name:
                file = archive.extractfile(member)
                assert file is not None
                found.append(json.load(file))
    assert [i for resource in found for i in ACCEPTANCE.findings(resource, (), "")] == []
    assert len(found) > 70
    assert len(ACCEPTANCE.in_force([(f"SearchParameter/{r['id']}", r) for r in found], (), 1)) == count
