"""The language of `_filter`. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.dates import parse_range
from fhir_server.fhir.definitions import r4
from fhir_server.search import filtering
from fhir_server.search.filtering import And, Expression, Not, Or, Step, as_filter, parse_filter, wider_filter
from fhir_server.search.matching import Setting
from fhir_server.search.matching.comparing import matcher_of
from fhir_server.search.parameters import Parameter, Parameters

NOW = parse_range("2026-11-23T12:00:00Z")[0]


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return Parameters(r4())


def one(name: str, operator: str, value: str, position: int = 0) -> filtering.Test:
    return filtering.Test((Step(name),), operator, value, position)


def the_test(text: str) -> filtering.Test:
    found = parse_filter(text)
    assert isinstance(found, filtering.Test)
    return found


A, B, C, D = (f"{name} eq 1" for name in "abcd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name co "pet"', one("name", "co", "pet")),
        ("  birthdate\tge\n2014-10-10  ", one("birthdate", "ge", "2014-10-10", 2)),
        ("code eq http://loinc.org|1234-5", one("code", "eq", "http://loinc.org|1234-5")),
        ('code eq "http://loinc.org|1234-5"', one("code", "eq", "http://loinc.org|1234-5")),
        (r'name eq "a \"b\" \\ ) ] \u00e9"', one("name", "eq", 'a "b" \\ ) ] é')),
        ('name eq "a\nb"', one("name", "eq", "a\nb")),
        ("_lastUpdated gt 2020", one("_lastUpdated", "gt", "2020")),
        ("value-quantity lt -5.5||mg", one("value-quantity", "lt", "-5.5||mg")),
        ("active pr true", one("active", "pr", "true")),
        ("name eq and", one("name", "eq", "and")),
        ("not eq or", one("not", "eq", "or")),
        ("name eq it's(fine", one("name", "eq", "it's(fine")),
        (f"({A})", one("a", "eq", "1", 1)),
        (f"not({A})", Not(one("a", "eq", "1", 4))),
        (f"not ( {A} )", Not(one("a", "eq", "1", 6))),
        (f"{A} and {B}", And((one("a", "eq", "1"), one("b", "eq", "1", 11)))),
        (f"({A})or({B})", Or((one("a", "eq", "1", 1), one("b", "eq", "1", 11)))),
    ],
)
def test_texts_and_trees(text: str, expected: Expression) -> None:
    assert parse_filter(text) == expected


def shape(found: Expression) -> Any:
    """The tree with the names of its tests only."""
    match found:
        case And(parts):
            return ("and", *map(shape, parts))
        case Or(parts):
            return ("or", *map(shape, parts))
        case Not(part):
            return ("not", shape(part))
    return ".".join(s.code for s in found.path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A} and {B} and {C}", ("and", "a", "b", "c")),
        (f"{A} or {B} or {C}", ("or", "a", "b", "c")),
        (f"{A} or {B} and {C}", ("and", ("or", "a", "b"), "c")),
        (f"{A} and {B} or {C} and {D}", ("and", ("or", ("and", "a", "b"), "c"), "d")),
        (f"{A} or ({B} and {C})", ("or", "a", ("and", "b", "c"))),
        (f"not ({A} or {B}) and {C}", ("and", ("not", ("or", "a", "b")), "c")),
        (f"{A} and not ({B})", ("and", "a", ("not", "b"))),
        (f"(({A}))", "a"),
    ],
)
def test_and_and_or_bind_alike_from_left_to_right(text: str, expected: Any) -> None:
    assert shape(parse_filter(text)) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("subject.name eq x", (Step("subject"), Step("name"))),
        ("subject:Patient.name eq x", (Step("subject", "Patient"), Step("name"))),
        ("_has:Observation:patient:code eq x", (Step("_has", "Observation:patient:code"),)),
        ("a.b.c eq x", (Step("a"), Step("b"), Step("c"))),
        ("r[t eq has-component].target pr true", (Step("r", where=one("t", "eq", "has-component", 2)), Step("target"))),
        ('r[ t eq "a]" ] eq x', (Step("r", where=one("t", "eq", "a]", 3)),)),
    ],
)
def test_paths(text: str, path: tuple[Step, ...]) -> None:
    assert the_test(text).path == path


def test_a_filter_in_brackets_is_a_whole_one() -> None:
    where = the_test(f"r:Patient[{A} or not ({B})].name eq x").path[0].where
    assert where is not None
    assert shape(where) == ("or", "a", ("not", "b"))


@pytest.mark.parametrize(
    ("text", "character", "wanted"),
    [
        ("", 1, "the name of a search parameter"),
        ("name", 5, "an operator"),
        ("name eq", 8, "a value"),
        ("name like x", 6, "one of eq, ne, co"),
        ("name EQ x", 6, "one of eq, ne, co"),
        ("name eq )", 9, "a value"),
        ('name eq "x', 9, 'a string with a " at its end'),
        (r'name eq "\x"', 9, "is not a JSON string"),
        ('name eq " "', 9, "the string is empty"),
        ("1name eq x", 1, "the name of a search parameter"),
        ("a..b eq x", 3, "the name of a search parameter"),
        ("a[] eq x", 3, "the name of a search parameter"),
        ("a[b eq c eq x", 10, "and, or or ]"),
        ("(a eq b", 8, "and, or or )"),
        ("a eq b)", 7, "and, or or the end"),
        ("a eq b c eq d", 8, "and, or or the end"),
        ("a eq b and", 11, "the name of a search parameter"),
        ("a eq b or or c eq d", 14, "one of eq, ne, co"),
        ("not a b", 5, "one of eq, ne, co"),
        ("active pr maybe", 1, "pr takes true or false"),
    ],
)
def test_errors_say_where(text: str, character: int, wanted: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(text)
    (issue,) = refused.value.issues
    assert issue.location == "http._filter"
    assert issue.diagnostics.startswith(f"_filter, character {character}: ")
    assert wanted in issue.diagnostics


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(" * 17 + A + ")" * 17, "nested more than 16 deep"),
        ("(" * 7000, "nested more than 16 deep"),
        ("a[" * 3000, "nested more than 16 deep"),
        (f"({A}) and " * 5 + "(" * 16 + A + ")" * 16, "nested more than 16 deep"),
        ("not(" * 2000, "nested more than 16 deep"),
        (" and ".join([A] * 201), "200 tests at most"),
        (f'a eq "{"x" * 8000}"', "8000 characters at most"),
    ],
)
def test_limits(text: str, wanted: str) -> None:
    with pytest.raises(InvalidRequest, match=wanted) as refused:
        parse_filter(text)
    assert refused.value.issues[0].location == "http._filter"


def test_up_to_the_limits() -> None:
    assert parse_filter("(" * 15 + A + ")" * 15) == one("a", "eq", "1", 15)
    assert len(shape(parse_filter(" or ".join([f"({A})"] * 50)))) == 51
    assert len(shape(parse_filter(" or ".join([A] * 200)))) == 201


def parameter_of(parameters: Parameters, name: str) -> Parameter:
    resource_type, _, code = name.rpartition(".")
    return parameters.of(resource_type or "Patient")[code]


@pytest.mark.parametrize(
    ("name", "text", "modifier", "value"),
    [
        ("name", 'x co "a, b"', "contains", r"a\, b"),
        ("name", r'x sw "a\\b|c$"', "", r"a\\b\|c\$"),
        ("name", "x pr true", "missing", "false"),
        ("name", "x pr false", "missing", "true"),
        ("birthdate", "x eq 1990", "", "eq1990"),
        ("birthdate", "x ne 1990", "", "ne1990"),
        ("birthdate", 'x sa "1990-01"', "", "sa1990-01"),
        ("birthdate", "x ap 1990", "", "ap1990"),
        ("gender", "x eq male", "", "male"),
        ("identifier", "x eq urn:m|1", "", "urn:m|1"),
        ("Observation.code", "x eq loinc|1234-5", "", "http://loinc.org|1234-5"),
        ("Observation.code", 'x ss "snomed|1"', "below", "http://snomed.info/sct|1"),
        ("Observation.code", "x eq loinc", "", "loinc"),
        ("Observation.code", "x eq xloinc|1", "", "xloinc|1"),
        ("Observation.value-quantity", "x lt 5|ucum|mg", "", "lt5|http://unitsofmeasure.org|mg"),
        (
            "Observation.code-value-quantity",
            "x eq loinc|1$gt5|ucum|mg",
            "",
            "http://loinc.org|1$gt5|http://unitsofmeasure.org|mg",
        ),
        ("gender", "x in http://vs", "in", "http://vs"),
        ("gender", "x ni http://vs", "not-in", "http://vs"),
        ("gender", "x ss urn:s|a", "below", "urn:s|a"),
        ("gender", "x sb urn:s|a", "above", "urn:s|a"),
        ("organization", "x re Organization/1", "", "Organization/1"),
        ("organization", "x eq 1", "", "1"),
        ("ValueSet.url", "x eq http://a", "", "http://a"),
        ("Observation.value-quantity", "x gt 5||mg", "", "gt5||mg"),
        ("ChargeItem.factor-override", "x le 5", "", "le5"),
        ("Observation.code-value-quantity", "x eq a$gt5", "", "a$gt5"),
        ("Location.near", "x eq 1|2|3|km", "", "1|2|3|km"),
        ("_content", 'x co "heart failure"', "", "heart failure"),
        ("_text", "x eq heart", "", "heart"),
        ("_lastUpdated", "x ge 2020", "", "ge2020"),
    ],
)
def test_what_a_filter_says_as_well(parameters: Parameters, name: str, text: str, modifier: str, value: str) -> None:
    parameter = parameter_of(parameters, name)
    found = as_filter(the_test(text), parameter)
    assert found is not None
    assert (found.parameter, found.modifier, found.values) == (parameter, modifier, (value,))
    assert wider_filter(the_test(text), parameter) == found


@pytest.mark.parametrize(
    ("name", "text", "modifier", "value"),
    [
        ("name", 'x eq "a,b"', "", r"a\,b"),
        ("name", "x ne a", "missing", "false"),
        ("name", "x ew a", "missing", "false"),
        ("gender", "x ne a", "missing", "false"),
        ("identifier", "x co a", "missing", "false"),
        ("organization", "x ne 1", "missing", "false"),
        ("ValueSet.url", "x sw http://a", "missing", "false"),
        ("birthdate", "x po 1990", "", "ap1990"),
        ("birthdate", "x co 1990", "", "ap1990"),
        ("name", "x gt m", "missing", "false"),
    ],
)
def test_what_no_filter_says_has_a_wider_one(
    parameters: Parameters, name: str, text: str, modifier: str, value: str
) -> None:
    parameter = parameter_of(parameters, name)
    assert as_filter(the_test(text), parameter) is None
    found = wider_filter(the_test(text), parameter)
    assert (found.modifier, found.values) == (modifier, (value,))


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("name", "ap sa eb po ss sb in ni re"),
        ("birthdate", "sw ew ss sb in ni re"),
        ("gender", "gt lt ge le ap sa eb po re"),
        ("organization", "co sw ew gt lt ge le ap sa eb po ss sb in ni"),
        ("ValueSet.url", "gt lt ge le ap sa eb po ss sb in ni re"),
        ("Observation.value-quantity", "co sw ew po ss sb in ni re"),
        ("Observation.code-value-quantity", "ne co sw ew gt lt ge le ap sa eb po ss sb in ni re"),
        ("Location.near", "ne co sw ew gt lt ge le ap sa eb po ss sb in ni re"),
        ("_content", "ne sw ew gt pr"),
    ],
)
def test_operators_that_a_type_does_not_have(parameters: Parameters, name: str, operators: str) -> None:
    parameter = parameter_of(parameters, name)
    for operator in operators.split():
        test = one(parameter.code, operator, "true", 4)
        for ask in (
            lambda test: as_filter(test, parameter),
            lambda test: matcher_of(test, parameter, parameters, Setting(NOW)),
        ):
            with pytest.raises(InvalidRequest, match=f"character 5: {operator} cannot be asked of") as refused:
                ask(test)
            assert refused.value.issues[0].code == "not-supported"
            assert refused.value.issues[0].location == "http._filter"


PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "Müller", "given": ["Peter"]}, {"family": "Öz"}],
    "birthDate": "1990-05-05",
    "gender": "female",
    "identifier": [{"system": "urn:mrn", "value": "Ab-12"}],
    "managingOrganization": {"reference": "Organization/1"},
    "meta": {"profile": ["http://p/A"]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name eq muller", True),
        ("name eq mull", False),
        ("name eq oz", True),
        ('name ne "muller"', True),
        ("family ne x", True),
        ("given ne PETER", False),
        ("name gt muller", True),
        ("given gt peter", False),
        ("given ge peter", True),
        ("given le peter", True),
        ("given lt peter", False),
        ("given lt q", True),
        ("name co ULL", True),
        ("name sw mul", True),
        ("name ew LER", True),
        ("name ew mul", False),
        ("gender eq female", True),
        ("gender ne female", False),
        ("gender ne male", True),
        ("deceased ne true", True),
        ("identifier eq ab-12", True),
        ("identifier co B-1", True),
        ("identifier sw ab", True),
        ("identifier sw urn:mrn|ab", True),
        ("identifier sw urn:x|ab", False),
        ("identifier ew 12", True),
        ("identifier ew ab", False),
        ("identifier ne ab-12", False),
        ("identifier ne urn:x|ab-12", True),
        ("organization re Organization/1", True),
        ("organization re http://here/fhir/Organization/1", True),
        ("organization ne 1", False),
        ("organization ne 2", True),
        ("general-practitioner ne 2", False),
        ("general-practitioner pr false", True),
        ("birthdate gt 1990", False),
        ("birthdate po 1990", True),
        ("birthdate po 1990-05-05T10:00:00Z", True),
        ("birthdate po 1991", False),
        ("birthdate co 1990-05-05", True),
        ("birthdate co 1990-05-05T10:00:00Z", True),
        ("birthdate co 1990-05", False),
        ("birthdate co 1990-05-04", False),
        ("birthdate co 1990-05-06", False),
        ("birthdate po 1990-05-04", False),
        ("birthdate po 1990-05-06", False),
        ("birthdate ne 1990", False),
        ("death-date ne 1990", False),
        ("gender in http://vs", True),
        ("gender ni http://vs", False),
        ("gender ss urn:s|a", False),
        ("gender sb urn:s|b", True),
        ("_profile eq http://p/A", True),
        ("_profile sw HTTP://P", True),
        ("_profile ew /a", True),
        ("_profile co q", False),
        ("_profile ne http://p/A", False),
        ("_profile ne http://p/B", True),
    ],
)
def test_tests_of_a_resource(parameters: Parameters, text: str, *, expected: bool) -> None:
    test = the_test(text)
    female = frozenset({("http://hl7.org/fhir/administrative-gender", "female")})
    setting = Setting(NOW, "http://here/fhir", {"http://vs": female, "urn:s|a": frozenset(), "urn:s|b": female})
    parameter = parameters.of("Patient")[test.path[-1].code]
    assert matcher_of(test, parameter, parameters, setting)(PATIENT) is expected
    assert not matcher_of(test, parameter, parameters, setting)({"resourceType": "Patient"}) or text in NONE_FINDS


# What is true of a resource without the element.
NONE_FINDS = {"general-practitioner pr false", "gender ni http://vs", "deceased ne true"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("birthdate ge soon", "birthdate must be a date"),
        ("birthdate po soon", "birthdate must be a date"),
        ("birthdate eq ge1990", "birthdate must be a date"),
        ("identifier sw |", "identifier must be a code"),
        ('name ew "\u0301"', "name must be a text"),
        ("gender in http://other", "cannot be expanded"),
    ],
)
def test_a_value_it_cannot_have_is_refused_with_its_place(parameters: Parameters, text: str, wanted: str) -> None:
    tree = parse_filter(f"{A} and {text}")
    assert isinstance(tree, And)
    test = tree.parts[1]
    assert isinstance(test, filtering.Test)
    with pytest.raises(InvalidRequest, match=wanted) as refused:
        matcher_of(test, parameters.of("Patient")[test.path[0].code], parameters, Setting(NOW))
    assert refused.value.issues[0].location == "http._filter"
    assert refused.value.issues[0].diagnostics.startswith("_filter, character 12: ")
