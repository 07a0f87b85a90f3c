"""The comparer itself: what it lets pass and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.terminology.comparing import as_r5, differences


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": "$uuid$"}, {"a": "urn:uuid:8acdbfdc-e9d2-11ed-a05b-0242ac120003"}),
        ({"a": "$instant$"}, {"a": "2026-01-01T00:00:00Z"}),
        ({"a": "http://x|$version$"}, {"a": "http://x|1"}),
        ({"a": "$choice:x|y$"}, {"a": "y"}),
        ({"a": "$fragments:x|y$"}, {"a": "some Y and x"}),
        ({"a": "$external:2:x y$"}, {"a": "some x y"}),
        ({"a": "$external:2$"}, {"a": "anything"}),
        ({"$optional-properties$": ["a", "b"], "a": 1}, {"b": 2}),
        ({"a": [{"$optional$": True, "name": "x"}]}, {}),
        ({"a": [{"$optional$": "!tx.fhir.org", "name": "x"}, {"name": "y"}]}, {"a": [{"name": "y"}]}),
        ({"a": [{"n": 1}, {"n": 2}]}, {"a": [{"n": 2}, {"n": 1}]}),
        ({"$count-arrays$": ["a"], "a": [1, 2]}, {"a": [3, 4]}),
    ],
)
def test_it_lets_pass(expected: Any, actual: Any) -> None:
    assert list(differences(expected, actual)) == []


@pytest.mark.parametrize(
    ("expected", "actual", "wrong"),
    [
        ({"a": 1}, {"a": 2}, ".a: 1 was expected, there is 2"),
        ({"a": 1}, {"a": True}, ".a: 1 was expected, there is True"),
        ({"a": 1}, {}, ".a: is missing"),
        ({}, {"a": 1}, ".a: was not expected: 1"),
        ({"a": "$uuid$"}, {"a": "x"}, ".a: $uuid$ was expected, there is 'x'"),
        ({"a": "$choice:x|y$"}, {"a": "z"}, ".a: $choice:x|y$ was expected, there is 'z'"),
        ({"a": "$fragments:x|y$"}, {"a": "x"}, ".a: $fragments:x|y$ was expected, there is 'x'"),
        ({"a": "$external:1:x$"}, {"a": "y"}, ".a: $external:1:x$ was expected, there is 'y'"),
        (
            {"a": "http://x|$version$"},
            {"a": "http://y|1"},
            ".a: http://x|$version$ was expected, there is 'http://y|1'",
        ),
        ({"a": [1]}, {"a": [1, 2]}, ".a: was not expected: 2"),
        ({"a": [1, 2]}, {"a": [1]}, ".a: is missing: 2"),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, ".a[x].v: 1 was expected, there is 2"),
        ({"$count-arrays$": ["a"], "a": [1, 2]}, {"a": [3]}, ".a: 2 items were expected, there are 1"),
    ],
)
def test_it_finds(expected: Any, actual: Any, wrong: str) -> None:
    assert list(differences(expected, actual)) == [wrong]


def test_properties_written_as_extensions_are_read_as_members() -> None:
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
    parts = [{"url": "code", "valueCode": "status"}, {"url": "value", "valueCode": "retired"}]
    row = {"code": "a", "extension": [{"url": url, "extension": parts}, {"url": "other", "valueBoolean": True}]}
    assert as_r5(row) == {
        "code": "a",
        "property": [{"code": "status", "valueCode": "retired"}],
        "extension": [{"url": "other", "valueBoolean": True}],
    }
