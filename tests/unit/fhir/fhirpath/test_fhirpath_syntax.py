"""Errors say where; depth and length are bounded. https://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

import pytest

from fhir_server.fhir.fhirpath import FhirPathError, FhirPathSemanticError, FhirPathSyntaxError, compile


@pytest.mark.parametrize(
    ("expression", "position", "message"),
    [
        ("name.", 5, "the expression ends too early at position 5"),
        ("name given", 5, "unexpected 'given' at position 5"),
        ("a + 'open", 4, "a string is not closed at position 4"),
        ("`open", 0, "a delimited name is not closed at position 0"),
        ("a /* open", 2, "a comment is not closed at position 2"),
        ("a ? b", 2, "unexpected '?' at position 2"),
        ("(a", 2, "expected ')' at position 2"),
        ("a = @2020-02-30", 4, "no such date or time at position 4"),
        ("1 + 99999999999", 4, "an integer does not fit in 32 bits at position 4"),
        ("a is 5", 5, "unexpected '5' at position 5"),
    ],
)
def test_syntax_error_names_the_position(expression: str, position: int, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError) as caught:
        compile(expression)
    assert caught.value.position == position
    assert str(caught.value) == message


@pytest.mark.parametrize("expression", ["(" * 100 + "1" + ")" * 100, "-" * 100 + "1", "a[" * 100 + "0" + "]" * 100])
def test_deep_nesting_is_refused(expression: str) -> None:
    with pytest.raises(FhirPathSyntaxError, match="nested deeper than 64 levels"):
        compile(expression)


@pytest.mark.parametrize("expression", ["1" + " + 1" * 5000, "a" + ".a" * 5000, "true" + " and true" * 3000])
def test_chain_too_long_for_the_stack_is_refused(expression: str) -> None:
    with pytest.raises(FhirPathSyntaxError, match="nested too deeply"):
        compile(expression)


def test_long_union_is_no_nesting() -> None:
    resource = {"resourceType": "Patient", "id": "x"}
    assert [node.value for node in compile("id" + " | id" * 2000).evaluate(resource)] == ["x"]


def test_length_is_bounded() -> None:
    with pytest.raises(FhirPathSyntaxError, match="longer than 32768 characters"):
        compile("a" * 32_769)


def test_keywords_are_names_where_a_name_is_expected() -> None:
    resource = {"resourceType": "ValueSet", "expansion": {"contains": [{"code": "x"}]}}
    assert [node.value for node in compile("expansion.contains.code").evaluate(resource)] == ["x"]
    assert [node.value for node in compile("expansion.repeat(contains).code").evaluate(resource)] == ["x"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("nothing()", "there is no function nothing()"),
        ("exists(1, 2)", "exists() does not take 2 arguments"),
        ("ofType(Nothing)", "there is no type Nothing"),
        ("is(1)", "a type name is needed"),
        ("as(Patient, Patient)", "as() takes a type"),
    ],
)
def test_unknown_names_are_refused_when_compiling(expression: str, message: str) -> None:
    with pytest.raises(FhirPathSemanticError) as caught:
        compile(expression)
    assert str(caught.value) == message


def test_root_type_must_exist() -> None:
    with pytest.raises(FhirPathSemanticError, match="there is no type Nothing"):
        compile("name", "Nothing")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("name.given1", "there is no element given1 in HumanName"),
        ("Encounter.status", "the context is not a Encounter"),
        ("deceasedBoolean", "there is no element deceasedBoolean in Patient"),
        ("children().first()", "first() needs an order, and its input has none"),
        ("children()[0]", "an index needs an order, and its input has none"),
        ("iif('a', 1)", "the criterion of iif() is not a boolean"),
    ],
)
def test_strict_mode_refuses_what_cannot_be(expression: str, message: str) -> None:
    assert compile(expression, "Patient").evaluate({"resourceType": "Patient", "name": [{}]}) is not None
    with pytest.raises(FhirPathSemanticError) as caught:
        compile(expression, "Patient", strict=True)
    assert str(caught.value) == message


def test_strict_mode_wants_one_item_for_as() -> None:
    resource = {"resourceType": "Patient", "name": [{"text": "a"}, {"text": "b"}]}
    assert len(compile("name as HumanName", "Patient").evaluate(resource)) == 2
    with pytest.raises(FhirPathError, match="one item is needed, not 2"):
        compile("name as HumanName", "Patient", strict=True).evaluate(resource)
