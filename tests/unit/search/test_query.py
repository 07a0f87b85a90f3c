"""Query strings taken apart. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import pytest

from fhir_server.api import InvalidRequest
from fhir_server.fhir.definitions import r4
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import MAX_VALUES, Include, QueryParser, SearchQuery, unescape

PARSER = QueryParser(Parameters(r4()), r4().resource_types)


def parse(*pairs: tuple[str, str], kind: str = "Patient", strict: bool = False) -> SearchQuery:
    """Return the query of some pairs."""
    return PARSER.parse(kind, pairs, strict=strict)


@pytest.mark.parametrize(
    ("name", "value", "code", "modifier", "values", "chain"),
    [
        ("family", "a", "family", "", ("a",), ""),
        ("family:exact", "a", "family", "exact", ("a",), ""),
        ("family", "a,b", "family", "", ("a", "b"), ""),
        ("family", r"a\,b,c", "family", "", (r"a\,b", "c"), ""),
        ("organization.name", "a", "organization", "", ("a",), "name"),
        ("general-practitioner:Practitioner.name", "a", "general-practitioner", "Practitioner", ("a",), "name"),
        ("general-practitioner:PractitionerRole.organization.name", "a", "general-practitioner", "PractitionerRole",
         ("a",), "organization.name"),
        ("general-practitioner.name:exact", "a", "general-practitioner", "", ("a",), "name:exact"),
    ],
)  # fmt: skip
def test_a_filter(name: str, value: str, code: str, modifier: str, values: tuple[str, ...], chain: str) -> None:
    query = parse((name, value), strict=True)
    (only,) = query.filters
    assert (only.parameter.code, only.modifier, only.values, only.chain) == (code, modifier, values, chain)
    assert only.location == f"http.{code}"
    assert (query.given, query.issues) == (((name, value),), ())


def test_what_shapes_the_result() -> None:
    query = parse(
        ("_sort", "-birthdate,family"), ("_count", "7"), ("_total", "accurate"), ("_summary", "text"),
        ("_elements", "name, gender,,"), ("_include", "Patient:organization"),
        ("_include", "Patient:general-practitioner:Practitioner"), ("_revinclude", "Observation:*"),
        ("_cursor", "abc"), ("_format", "json"), ("_pretty", "true"),
        strict=True,
    )  # fmt: skip
    assert query.sort == (("birthdate", True), ("family", False))
    assert (query.count, query.total, query.summary) == (7, "accurate", "text")
    assert query.elements == ("name", "gender")
    assert query.includes == (
        Include("Patient", "organization"),
        Include("Patient", "general-practitioner", "Practitioner"),
    )
    assert query.reverse_includes == (Include("Observation", ""),)
    assert query.cursor == "abc"
    assert {"_cursor", "_format", "_pretty"}.isdisjoint(name for name, _ in query.given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shoe-size", "43"),
        ("family", ""),
        ("_filter", "name eq a"),
        ("_has:Observation:patient:code", "1"),
        ("_text", "a"),
        ("_contained", "true"),
        ("_include:iterate", "Patient:organization"),
        ("", "a"),
        ("_sort", "shoe-size"),
        ("_type", "Patient"),
    ],
)
def test_what_is_not_understood_is_a_warning_or_refused(name: str, value: str) -> None:
    query = parse((name, value), ("gender", "male"))
    (only,) = query.issues
    assert (only.severity, only.code, only.location) == ("warning", "not-supported", f"http.{name}")
    assert [f.parameter.code for f in query.filters] == ["gender"]
    assert query.sort == ()
    assert ("gender", "male") in query.given
    with pytest.raises(InvalidRequest) as refused:
        parse((name, value), strict=True)
    assert [(i.severity, i.location) for i in refused.value.issues] == [("error", f"http.{name}")]


@pytest.mark.parametrize(
    ("name", "value", "location"),
    [
        ("_count", "-1", "http._count"),
        ("_count", "many", "http._count"),
        ("_count", "٧", "http._count"),
        ("_total", "some", "http._total"),
        ("_summary", "maybe", "http._summary"),
        ("_include", "Rock:organization", "http._include"),
        ("_include", "Patient:family", "http._include"),
        ("_include", "Patient", "http._include"),
        ("_include", "Patient:organization:Rock", "http._include"),
        ("_revinclude", "Observation:shoe-size", "http._revinclude"),
        ("gender", ",".join("a" * (MAX_VALUES + 1)), "http.gender"),
        ("organization.partof.partof.partof.partof.name", "a", "http.organization"),
    ],
)
def test_what_cannot_be_meant_is_always_refused(name: str, value: str, location: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse((name, value))
    assert [i.location for i in refused.value.issues] == [location]


def test_as_many_values_as_allowed_are_taken() -> None:
    (only,) = parse(("gender", ",".join("a" * MAX_VALUES))).filters
    assert len(only.values) == MAX_VALUES


def test_a_huge_count_is_still_a_count() -> None:
    assert parse(("_count", "9" * 500)).count == 999_999_999


def test_types_are_known_before_anything_else_is_read() -> None:
    query = parse(("family", "a"), ("_type", "Patient,Practitioner,Patient"), kind="", strict=True)
    assert query.types == ("Patient", "Practitioner")
    (only,) = query.filters
    assert [p.index_name for p in only.per_type] == ["Patient.family", "Practitioner.family"]


def test_a_search_of_all_types_has_the_parameters_of_every_resource() -> None:
    (only,) = parse(("_tag", "a"), kind="", strict=True).filters
    assert {p.index_name for p in only.per_type} == {f"{t}._tag" for t in r4().resource_types}
    assert parse(("_tag", "a")).filters[0].per_type == ()


@pytest.mark.parametrize(
    ("text", "plain"), [("a", "a"), (r"a\,b", "a,b"), (r"a\|b\$c\\d", r"a|b$c\d"), (r"a\b", r"a\b"), ("\\", "\\")]
)
def test_escapes(text: str, plain: str) -> None:
    assert unescape(text) == plain
