"""Query strings taken apart. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import pytest

from fhir_server.api import InvalidRequest
from fhir_server.fhir.definitions import r4
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import MAX_FILTERS, MAX_LINKS, MAX_VALUES, Include, QueryParser, SearchQuery, unescape

PARSER = QueryParser(Parameters(r4()), r4().resource_types)


LONG_CHAIN = "organization" + ".partof" * MAX_LINKS + ".name"


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
        ("_has:Observation:patient:code", ""),
        ("_query", "a"),
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
        (LONG_CHAIN, "a", f"http.{LONG_CHAIN[:64]}"),
        ("_contained", "maybe", "http._contained"),
        ("_containedType", "both", "http._containedType"),
        ("_has:Observation", "1", "http._has:Observation"),
        ("_has:Observation:patient", "1", "http._has:Observation:patient"),
        ("_has:Rock:patient:code", "1", "http._has"),
        ("_has:Observation:code:code", "1", "http._has:Observation:code:code"),
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


@pytest.mark.parametrize(
    ("name", "value", "source", "reference", "rest"),
    [
        ("_has:Observation:patient:code", "a,b", "Observation", "patient", "code"),
        ("_has:Observation:subject:code:not", "a", "Observation", "subject", "code:not"),
        ("_has:Observation:patient:_has:AuditEvent:entity:agent", "a", "Observation", "patient",
         "_has:AuditEvent:entity:agent"),
        ("_has:Observation:patient:encounter.class", "a", "Observation", "patient", "encounter.class"),
    ],
)  # fmt: skip
def test_what_refers_to_a_resource(name: str, value: str, source: str, reference: str, rest: str) -> None:
    (only,) = parse((name, value), strict=True).reverses
    assert (only.source, only.reference.code, only.rest, only.value) == (source, reference, rest, value)
    assert only.location == f"http.{name}"


def test_what_is_no_filter_by_one_parameter() -> None:
    query = parse(
        ("_filter", 'name eq "a,b"'), ("_list", "1,2"), ("_text", "a, b"), ("_content", "c,d"),
        ("_contained", "both"), ("_containedType", "contained"),
        strict=True,
    )  # fmt: skip
    assert query.expressions == ('name eq "a,b"',)
    assert query.lists == (("1", "2"),)
    assert [(f.parameter.code, f.values) for f in query.filters] == [
        ("_text", ("a", " b")),
        ("_content", ("c", "d")),
    ]
    assert (query.contained, query.contained_type) == ("both", "contained")
    plain = parse()
    assert (plain.contained, plain.contained_type) == ("false", "container")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_include", "*", Include("", "", "", False)),
        ("_include:iterate", "*", Include("", "", "", True)),
        ("_include", "Observation:*", Include("Observation", "")),
        ("_include:iterate", "Observation:subject:Patient", Include("Observation", "subject", "Patient", True)),
        ("_include", "Observation:*:Patient", Include("Observation", "", "Patient")),
    ],
)
def test_an_include(name: str, value: str, expected: Include) -> None:
    query = parse((name, value), (name.replace("_include", "_revinclude"), value), strict=True)
    assert query.includes == (expected,)
    assert query.reverse_includes == (expected,)


def test_what_is_said_twice_is_said_once_and_of_single_parameters_the_last_counts() -> None:
    query = parse(("gender", "male"), ("gender", "male"), ("gender", "female"), ("_count", "5"), ("_count", "6"))
    assert [f.values for f in query.filters] == [("male",), ("female",)]
    assert query.count == 6


def test_a_query_has_so_many_parameters_and_no_more() -> None:
    pairs = [("family", str(n)) for n in range(MAX_FILTERS)]
    assert len(parse(*pairs).filters) == MAX_FILTERS
    with pytest.raises(InvalidRequest, match=str(MAX_FILTERS)):
        parse(*pairs, ("family", "one more"))


def test_a_chain_has_so_many_links_and_no_more() -> None:
    longest = "organization" + ".partof" * (MAX_LINKS - 1) + ".name"
    (only,) = parse((longest, "a"), strict=True).filters
    assert only.chain == longest.partition(".")[2]
