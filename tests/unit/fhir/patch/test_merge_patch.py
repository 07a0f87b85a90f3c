"""JSON Merge Patch: the cases of RFC 7386, appendix A, that start from an object, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.patch import PatchError, apply_merge_patch

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
WITHOUT_NULL = st.recursive(
    st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), WITHOUT_NULL, max_size=3)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        ({"a": 1}, {"a": [None, {"b": None}]}, {"a": [None, {"b": None}]}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_merged(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    kept = copy.deepcopy((target, patch))
    assert apply_merge_patch(target, patch) == result
    assert (target, patch) == kept


def test_the_outcome_shares_nothing_with_target_and_patch() -> None:
    target: dict[str, Any] = {"a": {"b": []}}
    patch: dict[str, Any] = {"c": [{}]}
    result = apply_merge_patch(target, patch)
    result["a"]["b"].append(1)
    result["c"][0]["d"] = 1
    assert (target, patch) == ({"a": {"b": []}}, {"c": [{}]})


@pytest.mark.parametrize("patch", [None, [], ["c"], "bar", 1, True])
def test_a_patch_that_is_not_an_object(patch: Any) -> None:
    with pytest.raises(PatchError) as caught:
        apply_merge_patch({"a": "foo"}, patch)
    assert caught.value.issue.code == "structure"
    assert caught.value.issue.diagnostics == 'a merge patch of a resource is an object, as in {"active": true}'


def test_a_patch_that_nests_too_deep() -> None:
    patch: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 1):
        patch = {"a": patch}
    assert apply_merge_patch({}, patch) == patch
    for deeper in ({"a": patch}, {"a": [patch]}):
        with pytest.raises(PatchError) as caught:
            apply_merge_patch({}, deeper)
        assert caught.value.issue.code == "too-long"
        assert caught.value.issue.diagnostics == f"the resource would nest deeper than {MAX_DEPTH} levels"


@given(OBJECTS, OBJECTS)
def test_the_difference_merged_gives_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert apply_merge_patch(before, difference(before, after)) == after


@given(OBJECTS, JSON)
def test_merging_twice_is_merging_once(target: dict[str, Any], patch: Any) -> None:
    try:
        once = apply_merge_patch(target, patch)
    except PatchError:
        assert not isinstance(patch, dict)
        return
    assert apply_merge_patch(once, patch) == once


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        was = before.get(name)
        patch[name] = difference(was, value) if isinstance(was, dict) and isinstance(value, dict) else value
    return patch
