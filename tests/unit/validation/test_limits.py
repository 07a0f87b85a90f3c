"""Nothing a stranger sends makes the validator fail, run away or answer without end."""

from __future__ import annotations

import copy
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import MAX_DEPTH, decode, encode
from fhir_server.fhir.outcomes import Issue, operation_outcome
from fhir_server.validation import MAX_ISSUES, Validator
from fhir_server.validation.findings import MAX_FINDINGS, Finding, Findings, is_full, issues_of

VALIDATOR = Validator(r4())
PATIENT = {
    "resourceType": "Patient",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}],
    "name": [
        {
            "given": ["a", None],
            "_given": [None, {"extension": [{"url": "http://example.org", "valueCode": "x"}]}],
            "period": {"start": "2020"},
        }
    ],
    "extension": [{"url": "http://example.org", "valueQuantity": {"value": Decimal("1.0")}}],
    "managingOrganization": {"reference": "#o"},
    "text": {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
}
NAMES = st.sampled_from(
    ["resourceType", "id", "name", "_id", "contained", "extension", "url", "value", "valueString", "reference", "div"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(st.characters(), max_size=8)
    | st.sampled_from(["Patient", "Bundle", "Extension", "#o", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every member and item below the value."""
    children = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [p for key, child in children for p in [(*path, key), *places(child, (*path, key))]]


def put(path: tuple[Any, ...], value: object) -> Any:
    resource: Any = copy.deepcopy(PATIENT)
    holder = resource
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return resource


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_random_json_gives_issues_never_an_exception(value: object) -> None:
    issues = VALIDATOR.validate(value)

    assert encode(operation_outcome(issues))
    assert issues or (isinstance(value, dict) and value["resourceType"] in ("Patient", "Bundle"))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(places(PATIENT)), JSON)
def test_random_json_anywhere_in_a_resource_gives_issues_that_can_be_sent(path: tuple[Any, ...], value: object) -> None:
    issues = VALIDATOR.validate(put(path, value))

    assert encode(operation_outcome(issues))
    assert {issue.code for issue in issues} <= set(
        r4().code_lists["http://hl7.org/fhir/ValueSet/issue-type"]["http://hl7.org/fhir/issue-type"]
    )


def nested(levels: int) -> dict[str, Any]:
    """Return a Questionnaire whose innermost item is this many JSON levels deep."""
    item: dict[str, Any] = {"linkId": "innermost", "type": "display"}
    for level in range((levels - 3) // 2):
        item = {"linkId": str(level), "type": "group", "item": [item]}
    return {"resourceType": "Questionnaire", "status": "draft", "item": [item]}


def test_a_resource_may_be_as_deep_as_json_may() -> None:
    assert VALIDATOR.validate(decode(encode(nested(MAX_DEPTH - 1)))) == []


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 3001])
def test_a_deeper_resource_is_refused_with_one_issue(levels: int) -> None:
    [issue] = VALIDATOR.validate(nested(levels))

    assert (issue.code, issue.diagnostics) == ("structure", f"Nested deeper than {MAX_DEPTH} levels.")
    assert issue.expression == "Questionnaire" + ".item[0]" * 32


def test_deep_contained_resources_and_extensions_are_refused_too() -> None:
    contained: dict[str, Any] = {"resourceType": "Patient", "id": "x"}
    extension: dict[str, Any] = {"url": "http://example.org", "valueCode": "a"}
    for _ in range(500):
        contained = {"resourceType": "Patient", "id": "x", "contained": [contained]}
        extension = {"url": "http://example.org", "extension": [extension]}

    codes = {issue.code for issue in VALIDATOR.validate({**contained, "extension": [extension]})}

    assert codes == {"invalid", "structure"}


def test_a_hundred_issues_are_listed_and_then_one_that_says_so() -> None:
    issues = VALIDATOR.validate({"resourceType": "Patient", "name": [{"family": ""}] * 100_000, "active": 1})

    assert len(issues) == MAX_ISSUES + 1
    assert {issue.code for issue in issues[:MAX_ISSUES]} == {"value"}
    assert issues[MAX_ISSUES] == Issue(
        "informational", "The first 100 issues are listed; there are more.", severity="information"
    )


def test_exactly_a_hundred_issues_are_listed_without_more() -> None:
    issues = VALIDATOR.validate({"resourceType": "Patient", "name": [{"family": ""}] * MAX_ISSUES})

    assert [issue.expression for issue in issues] == [f"Patient.name[{i}].family" for i in range(MAX_ISSUES)]


@pytest.mark.parametrize(
    "member",
    [
        {"x" * 5000 + str(i): 1 for i in range(1000)},
        {"generalPractitioner": [{"reference": "#a"} for _ in range(20_000)]},
        {"name": [{"nmae" + str(i): 1} for i in range(20_000)]},
        {"name": [{"given": [None] * 20_000, "_given": [None] * 20_000}]},
        {"name": [{"_given": [None] * 20_000}]},
        {"contained": ["x"] * 20_000},
    ],
    ids=["unknown names", "local references", "unknown names below", "nulls", "extensions of nothing", "contained"],
)
def test_a_resource_full_of_defects_is_refused_quickly(member: dict[str, Any]) -> None:
    start = time.perf_counter()
    issues = VALIDATOR.validate({"resourceType": "Patient", **member})

    assert len(issues) == MAX_ISSUES + 1
    assert time.perf_counter() - start < 2
    assert len(encode(operation_outcome(issues))) < 100_000


def test_threads_that_meet_a_type_at_the_same_time_agree() -> None:
    validator = Validator(r4())
    start = threading.Barrier(8)
    found: list[list[Issue]] = []

    def validate() -> None:
        start.wait()
        found.append(validator.validate(PATIENT))

    threads = [threading.Thread(target=validate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [[]] * 8


def test_advice_never_crowds_out_errors() -> None:
    def found(severity: str, count: int) -> Findings:
        return [Finding("value", str(place), severity=severity) for place in range(count)]

    rows = found("information", 90) + found("warning", 90) + found("error", 7)
    assert not is_full(rows)
    issues = issues_of(rows, {"resourceType": "Basic"})
    severities = ["error"] * 7 + ["warning"] * 90 + ["information"] * 3
    assert [issue.severity for issue in issues] == [*severities, "information"]
    assert [issue.diagnostics for issue in issues[:7]] == [str(place) for place in range(7)]
    assert is_full(found("warning", 7) + found("error", MAX_FINDINGS + 1))
    assert is_full(found("warning", 10 * MAX_FINDINGS + 1))
