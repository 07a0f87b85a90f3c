"""Expressions and data made to cost: each ends soon, in little memory, with an answer or a clear refusal.

https://hl7.org/fhirpath/N1/. What is measured is the time of this process, which other processes do not prolong.
"""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from typing import Any

import pytest

from fhir_server.fhir.fhirpath import (
    Environment,
    FhirPathBudgetExceeded,
    FhirPathError,
    FhirPathEvaluationError,
    FhirPathSyntaxError,
    compile,
    locate,
)

STRANGER = Environment(max_steps=200_000, safe_patterns=True)
POOR = Environment(max_steps=50_000, safe_patterns=True)  # watching the memory makes everything slow
SOON = 8.0  # seconds of CPU, on any machine; without its budget each of these takes from ten seconds to years
LITTLE = 100_000_000

ENTRIES = 4000
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": f"urn:x:{place}",
            "resource": {
                "resourceType": "Patient",
                "id": f"p{place}",
                "name": [{"family": f"f{place}", "given": ["a", "b"]}],
                "extension": [{"url": "http://example.org/x", "valueQuantity": {"value": place, "unit": "mg"}}],
            },
        }
        for place in range(ENTRIES)
    ],
}
LONG = 1_000_000
TEXT: dict[str, Any] = {
    "resourceType": "Patient",
    "text": {"status": "generated", "div": "x" * LONG},
    "name": [{"family": "<" + " " * LONG}, {"family": "<" * LONG}, {"family": " on" * (LONG // 3)}],
}
NUMBERS = "1.repeat(iif($this < 3000, $this + 1, {}))"


def seconds(expression: str, resource: dict[str, Any], root_type: str | None = None) -> float:
    """Return how long compiling and evaluating takes, whatever comes of it."""
    began = time.process_time()
    with contextlib.suppress(FhirPathError):
        compile(expression, root_type).evaluate(resource, environment=STRANGER)
    return time.process_time() - began


@pytest.mark.parametrize(
    "expression",
    [
        "entry.where(%resource.entry.resource.id.count() > 0).count()",
        "entry.where(%resource.entry.extension('x').exists())",
        "entry.where(%resource.entry.where(%resource.entry.where(%resource.entry.exists()).exists()).exists())",
        "entry.select(%resource.entry.select(%resource.entry.fullUrl))",
        "entry.all(%resource.entry.all(%resource.entry.all(fullUrl.exists())))",
        "descendants().where(%resource ~ %resource)",
        "descendants().where(%resource.entry = %resource.entry)",
        "entry.where((%resource | %resource).exists())",
        "entry.where(%resource in %resource)",
        "entry.where(%resource.entry.isDistinct())",
        "entry.where(%resource.entry.subsetOf(%resource.entry))",
        "entry.where(%resource.entry.sort(fullUrl).exists())",
        "entry.resource.id.sort(%resource.entry.count())",
        "repeat(descendants())",
        "descendants().descendants().descendants()",
        "entry.aggregate(iif($total.empty(), %resource.descendants(), $total.tail()))",
        "entry.aggregate(iif($total.empty(), %resource.descendants(), $total.ofType(string)))",
        "entry.aggregate(iif($total.empty(), %resource.descendants(), iif($total.type().exists(), $total, {})))",
        "entry ~ %resource.entry",
        " | ".join(["entry.resource.id"] * 400),
    ],
)
def test_work_that_grows_faster_than_the_data_is_stopped(expression: str) -> None:
    assert seconds(expression, BUNDLE) < SOON
    with pytest.raises(FhirPathBudgetExceeded):
        compile(expression).evaluate(BUNDLE, environment=STRANGER)


def test_a_union_of_many_straight_paths_is_stopped() -> None:
    expression = " | ".join(["Bundle.entry.resource.id"] * 400)
    assert seconds(expression, BUNDLE, "Bundle") < SOON


@pytest.mark.parametrize(
    "expression",
    [
        "1.repeat($this + 1)",
        "'a'.repeat($this & 'a')",
        "entry.aggregate($total & $total, 'x')",
        "entry.aggregate($total.combine($total), 'x')",
        "entry.aggregate($total + $total, 'x')",
        "'abcdefgh'" + ".encode('hex')" * 40,
        "'&&&&&&&&'" + ".escape('html').encode('base64').encode('hex')" * 40,
        "'a'" + ".replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 12,
        f"{NUMBERS}.where(%resource.entry.resource.name.family.join('').replaceMatches('f', '').empty())",
        "'a'" + ".replaceMatches('a?', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')" * 12,
        "(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8)" + ".select($this.combine($this))" * 40,
        "(entry | entry).fullUrl.join('" + "x" * 30_000 + "')",
    ],
)
def test_what_grows_without_end_is_stopped_while_it_is_small(expression: str) -> None:
    compiled = compile(expression)
    tracemalloc.start()
    try:
        with pytest.raises(FhirPathBudgetExceeded):
            compiled.evaluate(BUNDLE, environment=POOR)
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "expression",
    [
        f"{NUMBERS}.where(%resource.text.div.substring(1).exists())",
        f"{NUMBERS}.where(%resource.text.div ~ %resource.text.div.substring(0))",
        f"{NUMBERS}.where(%resource.text.div.upper() = 'X')",
        f"{NUMBERS}.where(%resource.text.div.htmlChecks())",
        f"{NUMBERS}.where(%resource.text.div.matches('(x+x+)+y'))",
        f"{NUMBERS}.where(%resource.text.div.matches('(x?){{1000}}x{{1000}}' & $this.toString()))",
        "text.div.toChars()",
        "text.div.replaceMatches('x', '$0$0$0$0$0$0$0$0$0$0')",
        "text.div.replaceMatches('(x*)', '$1$1$1$1$1$1$1$1')",
        "text.div.split('')",
    ],
)
def test_a_long_text_is_not_read_a_thousand_times(expression: str) -> None:
    assert seconds(expression, TEXT) < SOON
    with pytest.raises(FhirPathBudgetExceeded):
        compile(expression).evaluate(TEXT, environment=STRANGER)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["spaces", "brackets", "handlers"])
def test_a_narrative_made_to_cost_is_checked_at_once(which: int) -> None:
    assert seconds(f"name[{which}].family.htmlChecks()", TEXT) < SOON


@pytest.mark.parametrize(
    "pattern",
    ["(x+x+)+y", "(x|x)*y", "((x*)*)*y", "(.*)*(.*)*(.*)*y", "(x?){30}x{30}y", "^(([a-z])+.)+[A-Z]([a-z])+$"],
)
@pytest.mark.parametrize("call", ["matches('{}')", "matchesFull('{}')", "replaceMatches('{}', 'z')"])
def test_a_pattern_that_a_backtracking_engine_never_finishes(call: str, pattern: str) -> None:
    assert seconds(f"text.div.{call.format(pattern)}", TEXT) < SOON


@pytest.mark.parametrize("pattern", ["(a{1000}){1000}", "((((x{30}){30}){30}){30})", "(", "a" * 30_000 + "("])
def test_a_pattern_too_large_is_refused(pattern: str) -> None:
    with pytest.raises(FhirPathEvaluationError):
        compile(f"'x'.matches('{pattern}')").evaluate(TEXT, environment=STRANGER)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("2147483647.power(2147483647)", []),
        ("2147483647.exp()", []),
        ("1.5.highBoundary(2147483647)", []),
        ("@9999-12-31 + 2147483647 years", []),
        ("@0001-01-01 - 2147483647 days", []),
        ("1 'Ym99' * 1 'Ym99' = 1 'Ym98'", []),
        ("1 'm' = 1 '" + "m." * 15_000 + "m'", [False]),
        ("1." + "3" * 15_000 + " 'mg' = 1." + "3" * 15_000 + " 'g'", [False]),
        ("iif(true, " * 60 + "1" + ", 2)" * 60, [1]),
    ],
)
def test_numbers_units_and_dates_past_all_measure(expression: str, answer: list[Any]) -> None:
    assert seconds(expression, TEXT) < SOON
    assert [node.value for node in compile(expression).evaluate(TEXT, environment=STRANGER)] == answer


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 10_000,
        "a." * 16_000,
        "-" * 32_000,
        "1 + " * 8_000 + "1",
        "a[" * 15_000,
        "where(" * 5_000,
        "/*" * 16_000,
        "'" + "\\" * 32_000,
        "`" * 32_001,
        "%`" * 16_000,
        "@" * 32_000,
        "9" * 32_000,
        "{} | " * 6_000,
        "a is " * 6_000,
    ],
)
def test_what_is_no_expression_is_refused_at_once(expression: str) -> None:
    began = time.process_time()
    with pytest.raises(FhirPathSyntaxError):
        compile(expression)
    assert time.process_time() - began < SOON


def test_a_thousand_contained_resources_are_found_by_a_thousand_references() -> None:
    many = 5000
    appointment = {
        "resourceType": "Appointment",
        "contained": [{"resourceType": "Patient", "id": f"c{place}"} for place in range(many)],
        "participant": [{"actor": {"reference": f"#c{place}"}} for place in range(many)],
    }
    began = time.process_time()
    for root_type in ("Appointment", None):
        found = compile("Appointment.participant.actor.where(resolve() is Patient)", root_type).evaluate(appointment)
        assert len(found) == many
    assert time.process_time() - began < SOON


def test_of_contained_resources_with_one_id_the_first_is_meant() -> None:
    resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Patient", "id": "a"}, {"resourceType": "Group", "id": "a"}, "no resource"],
        "subject": {"reference": "#a"},
    }
    for root_type in ("Observation", None):
        expression = compile("Observation.subject.where(resolve() is Patient)", root_type)
        assert len(expression.evaluate(resource)) == 1
        assert compile("subject.where(resolve() is Group)", root_type).evaluate(resource) == []


def test_what_is_located_for_a_patch_is_budgeted() -> None:
    began = time.process_time()
    with pytest.raises(FhirPathBudgetExceeded):
        locate("Bundle.entry.where(%resource.entry.resource.name.exists())", BUNDLE)
    assert time.process_time() - began < SOON


def test_an_everyday_expression_on_a_large_resource_is_within_the_budget() -> None:
    for expression, count in (
        ("Bundle.entry.resource.ofType(Patient).name.given", 2 * ENTRIES),
        ("Bundle.entry.where(resource is Patient and fullUrl.exists()).resource.name.family", ENTRIES),
        ("Bundle.entry.select(fullUrl & resource.id).distinct()", ENTRIES),
        ("Bundle.descendants().ofType(Quantity)", ENTRIES),
    ):
        assert len(compile(expression).evaluate(BUNDLE, environment=STRANGER)) == count
