"""Regular expressions of strangers: the same answers, in time that grows with the text alone."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.fhirpath import Environment, FhirPathEvaluationError, compile

PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "x" * 60}]}
TRUSTED = Environment()
SAFE = Environment(safe_patterns=True)
ENDLESS = "(x+x+)+y"  # each of a million million ways to cut up the text is tried by an engine that backtracks


@pytest.mark.parametrize("environment", [TRUSTED, SAFE], ids=["trusted", "safe"])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"'a\nc'.matches('a.c')", [True]),
        (r"'abc'.matches('^b')", [False]),
        (r"'é1'.matchesFull('é\\d')", [True]),
        (r"'xabcx'.matchesFull('abc')", [False]),
        (r"'a1b2'.replaceMatches('[0-9]', '#')", ["a#b#"]),
        (r"'11/30'.replaceMatches('(?P<m>[0-9]+)/([0-9]+)', '$2-${m} é\\n')", ["30-11 é\\n"]),
        (r"'ab'.replaceMatches('(a)|(b)', '<$1$2>')", ["<a><b>"]),
        (r"'äöü'.replaceMatches('ö', '\\1')", ["ä\\1ü"]),
    ],
)
def test_both_engines_agree(environment: Environment, expression: str, expected: list[Any]) -> None:
    assert [n.value for n in compile(expression).evaluate(PATIENT, environment=environment)] == expected


@pytest.mark.parametrize("environment", [TRUSTED, SAFE], ids=["trusted", "safe"])
@pytest.mark.parametrize(
    "expression",
    [
        "'a'.matches('(')",
        "'a'.replaceMatches('a', '$3')",
        "'b'.replaceMatches('a', '$3')",
        "'a'.replaceMatches('a', '${m}')",
    ],
)
def test_what_is_no_pattern(environment: Environment, expression: str) -> None:
    with pytest.raises(FhirPathEvaluationError):
        compile(expression).evaluate(PATIENT, environment=environment)


@pytest.mark.parametrize("expression", [r"'aa'.matches('(a)\\1')", "'ab'.matches('a(?=b)')", r"'\ud800'.matches('a')"])
def test_what_the_safe_engine_has_not(expression: str) -> None:
    with pytest.raises(FhirPathEvaluationError):
        compile(expression).evaluate(PATIENT, environment=SAFE)


def test_a_pattern_cannot_run_for_years() -> None:
    for function in (f"matches('{ENDLESS}')", f"matchesFull('{ENDLESS}')"):
        (found,) = compile(f"Patient.name.family.{function}").evaluate(PATIENT, environment=SAFE)
        assert found.value is False
    (same,) = compile(f"Patient.name.family.replaceMatches('{ENDLESS}', '')").evaluate(PATIENT, environment=SAFE)
    assert same.value == "x" * 60
