"""JSON Patch: each operation, each refusal, and properties over random documents."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.patch import PatchError, PatchTestFailed, apply_json_patch

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~0", max_size=3), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("ab/~0", max_size=3), JSON, max_size=4)
POINTERS = st.text("ab/~01-", max_size=8) | st.none() | st.integers()
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "merge", 1, None]),
        "path": POINTERS,
        "from": POINTERS,
        "value": JSON,
    },
)


def patient() -> dict[str, Any]:
    return {"resourceType": "Patient", "active": True, "name": [{"family": "Ek", "given": ["A", "B"]}, {"text": "C"}]}


def patched(*operations: Any) -> dict[str, Any]:
    before = patient()
    after = apply_json_patch(before, list(operations))
    assert before == patient()
    return after


def refusal(*operations: Any) -> PatchError:
    before = patient()
    with pytest.raises(PatchError) as caught:
        apply_json_patch(before, list(operations))
    assert before == patient()
    assert str(caught.value) == caught.value.issue.diagnostics
    return caught.value


NAMES = patient()["name"]


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [
        ({"op": "add", "path": "/gender", "value": "male"}, "gender", "male"),
        ({"op": "add", "path": "/active", "value": False}, "active", False),
        ({"op": "add", "path": "/", "value": 1}, "", 1),
        ({"op": "add", "path": "/a~1b~0c~01", "value": 1}, "a/b~c~1", 1),
        ({"op": "add", "path": "/name/0", "value": 1}, "name", [1, *NAMES]),
        ({"op": "add", "path": "/name/2", "value": 1}, "name", [*NAMES, 1]),
        ({"op": "add", "path": "/name/-", "value": 1}, "name", [*NAMES, 1]),
        ({"op": "add", "path": "/gender", "value": None}, "gender", None),
        ({"op": "replace", "path": "/name/1/text", "value": "D"}, "name", [NAMES[0], {"text": "D"}]),
        ({"op": "replace", "path": "/name/1", "value": 1}, "name", [NAMES[0], 1]),
        ({"op": "replace", "path": "/active", "value": False}, "active", False),
        ({"op": "remove", "path": "/name/0"}, "name", [{"text": "C"}]),
        ({"op": "remove", "path": "/name/1/text"}, "name", [NAMES[0], {}]),
        ({"op": "move", "from": "/name/1", "path": "/name/0"}, "name", NAMES[::-1]),
        ({"op": "move", "from": "/name/0", "path": "/name/-"}, "name", NAMES[::-1]),
        ({"op": "move", "from": "/name/0", "path": "/name/0"}, "name", NAMES),
        ({"op": "move", "from": "/active", "path": "/flag"}, "flag", True),
        ({"op": "copy", "from": "/active", "path": "/flag"}, "flag", True),
        ({"op": "copy", "from": "/name/1", "path": "/name/1/use"}, "name", [NAMES[0], NAMES[1] | {"use": NAMES[1]}]),
        ({"op": "test", "path": "/name/0/given", "value": ["A", "B"], "comment": "ignored"}, "active", True),
    ],
)
def test_operations(operation: dict[str, Any], member: str, value: Any) -> None:
    assert patched(operation)[member] == value


def test_a_removed_or_moved_member_is_gone() -> None:
    assert patched({"op": "remove", "path": "/name"}) == {"resourceType": "Patient", "active": True}
    assert "active" not in patched({"op": "move", "from": "/active", "path": "/flag"})


@pytest.mark.parametrize("op", ["add", "replace"])
def test_the_whole_resource_replaced(op: str) -> None:
    assert patched({"op": op, "path": "", "value": {"resourceType": "Group"}}) == {"resourceType": "Group"}


def test_the_whole_resource_copied_into_itself() -> None:
    assert patched({"op": "copy", "from": "", "path": "/old"}) == patient() | {"old": patient()}


def test_operations_see_those_before_them() -> None:
    assert patched(
        {"op": "add", "path": "/contact", "value": []},
        {"op": "add", "path": "/contact/-", "value": {}},
        {"op": "add", "path": "/contact/0/gender", "value": "male"},
        {"op": "test", "path": "/contact", "value": [{"gender": "male"}]},
        {"op": "remove", "path": "/name"},
    ) == {"resourceType": "Patient", "active": True, "contact": [{"gender": "male"}]}


def test_no_operations_give_an_equal_resource() -> None:
    assert patched() == patient()


def test_what_is_placed_is_not_shared() -> None:
    value = {"text": "D"}
    operations = [
        {"op": "add", "path": "/name/-", "value": value},
        {"op": "copy", "from": "/name/2", "path": "/name/-"},
        {"op": "add", "path": "/name/3/use", "value": "old"},
    ]
    after = apply_json_patch(patient(), operations)
    assert after["name"][2:] == [{"text": "D"}, {"text": "D", "use": "old"}]
    assert value == {"text": "D"}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (1, Decimal("1.0")),
        (Decimal("1.00"), 1),
        ("1", "1"),
        (None, None),
        (True, True),
        ([1, {"a": 1, "b": 2}], [1, {"b": 2, "a": 1}]),
    ],
)
def test_a_test_that_holds(held: Any, expected: Any) -> None:
    assert apply_json_patch({"x": held}, [{"op": "test", "path": "/x", "value": expected}]) == {"x": held}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (1, "1"),
        (1, True),
        (True, 1),
        (0, False),
        ("a", "A"),
        (None, False),
        ([1, 2], [2, 1]),
        ([1], [1, 2]),
        ([], {}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": [1]}, {"a": [True]}),
    ],
)
def test_a_test_that_does_not_hold(held: Any, expected: Any) -> None:
    with pytest.raises(PatchTestFailed) as caught:
        apply_json_patch(
            {"x": held}, [{"op": "add", "path": "/y", "value": 1}, {"op": "test", "path": "/x", "value": expected}]
        )
    issue = caught.value.issue
    assert (issue.code, issue.location, issue.expression) == ("conflict", "[1]/value", "")
    assert issue.diagnostics == "the test of /x does not hold: read the resource again and make the patch anew"


MESSAGES = {
    "operation": ("structure", "an operation is an object with op and path"),
    "op": ("value", "unknown operation: use one of add, remove, replace, move, copy, test"),
    "no op": ("required", "the operation has no op"),
    "no path": ("required", "the operation has no path"),
    "no from": ("required", "the operation has no from"),
    "no value": ("required", "the operation has no value"),
    "string": ("value", "{name} is a string that holds a JSON Pointer, as in /name/0/family"),
    "slash": ("value", "{name} is a JSON Pointer and starts with /, as in /name/0/family"),
    "tilde": ("value", "in {name} write ~ as ~0 and / as ~1; any other ~ has no meaning"),
    "whole": ("invalid", "the resource itself cannot be removed by a patch: delete it"),
    "object": ("value", "the whole resource can be replaced by an object only"),
    "missing": ("not-found", "{path} does not exist: add what it goes through first"),
    "through": ("not-found", "{path} leads through a value that has no members"),
    "past": ("not-found", "{path}: the index is past the end of the array"),
    "index": ("value", "{path}: an array takes an index such as 0 or 12 here"),
    "dash": ("not-found", "{path}: - is the place after the last, only add can use it"),
    "itself": ("invalid", "a value cannot be moved into itself: copy it, or choose another path"),
}

REFUSED: list[tuple[Any, str, str]] = [
    ("add", "operation", ""),
    (None, "operation", ""),
    ({}, "no op", "/op"),
    ({"op": "merge", "path": ""}, "op", "/op"),
    ({"op": ["add"], "path": ""}, "op", "/op"),
    ({"op": "Add", "path": ""}, "op", "/op"),
    ({"op": "remove"}, "no path", "/path"),
    ({"op": "add", "path": "/a"}, "no value", "/value"),
    ({"op": "replace", "path": "/active"}, "no value", "/value"),
    ({"op": "test", "path": "/active"}, "no value", "/value"),
    ({"op": "move", "path": "/active"}, "no from", "/from"),
    ({"op": "copy", "path": "/active"}, "no from", "/from"),
    ({"op": "remove", "path": 1}, "string", "/path"),
    ({"op": "remove", "path": None}, "string", "/path"),
    ({"op": "move", "from": ["a"], "path": "/a"}, "string", "/from"),
    ({"op": "remove", "path": "active"}, "slash", "/path"),
    ({"op": "remove", "path": "#/active"}, "slash", "/path"),
    ({"op": "copy", "from": "active", "path": "/a"}, "slash", "/from"),
    ({"op": "add", "path": "/a~", "value": 1}, "tilde", "/path"),
    ({"op": "add", "path": "/a~2", "value": 1}, "tilde", "/path"),
    ({"op": "copy", "from": "/~", "path": "/a"}, "tilde", "/from"),
    ({"op": "remove", "path": ""}, "whole", "/path"),
    ({"op": "add", "path": "", "value": []}, "object", "/value"),
    ({"op": "replace", "path": "", "value": None}, "object", "/value"),
    ({"op": "copy", "from": "/active", "path": ""}, "object", "/from"),
    ({"op": "remove", "path": "/gender"}, "missing", "/path"),
    ({"op": "replace", "path": "/gender", "value": 1}, "missing", "/path"),
    ({"op": "test", "path": "/gender", "value": 1}, "missing", "/path"),
    ({"op": "add", "path": "/contact/0", "value": 1}, "missing", "/path"),
    ({"op": "copy", "from": "/gender", "path": "/a"}, "missing", "/from"),
    ({"op": "move", "from": "/gender", "path": "/gender"}, "missing", "/from"),
    ({"op": "move", "from": "/active", "path": "/a/b"}, "missing", "/path"),
    ({"op": "add", "path": "/active/a", "value": 1}, "through", "/path"),
    ({"op": "remove", "path": "/active/a/b"}, "through", "/path"),
    ({"op": "add", "path": "/name/3", "value": 1}, "past", "/path"),
    ({"op": "remove", "path": "/name/2"}, "past", "/path"),
    ({"op": "replace", "path": "/name/2", "value": 1}, "past", "/path"),
    ({"op": "move", "from": "/name/0", "path": "/name/2"}, "past", "/path"),
    ({"op": "remove", "path": "/name/" + "9" * 5000}, "past", "/path"),
    ({"op": "remove", "path": "/name/00"}, "index", "/path"),
    ({"op": "remove", "path": "/name/01"}, "index", "/path"),
    ({"op": "remove", "path": "/name/-1"}, "index", "/path"),
    ({"op": "remove", "path": "/name/+1"}, "index", "/path"),
    ({"op": "remove", "path": "/name/1e0"}, "index", "/path"),
    ({"op": "remove", "path": "/name/١"}, "index", "/path"),
    ({"op": "add", "path": "/name/text", "value": 1}, "index", "/path"),
    ({"op": "add", "path": "/name/", "value": 1}, "index", "/path"),
    ({"op": "remove", "path": "/name/-"}, "dash", "/path"),
    ({"op": "replace", "path": "/name/-", "value": 1}, "dash", "/path"),
    ({"op": "test", "path": "/name/-", "value": 1}, "dash", "/path"),
    ({"op": "copy", "from": "/name/-", "path": "/a"}, "dash", "/from"),
    ({"op": "add", "path": "/name/-/text", "value": 1}, "dash", "/path"),
    ({"op": "move", "from": "/name", "path": "/name/0"}, "itself", "/path"),
    ({"op": "move", "from": "", "path": "/a"}, "itself", "/path"),
]


@pytest.mark.parametrize(("operation", "message", "at"), REFUSED)
def test_refusals(operation: Any, message: str, at: str) -> None:
    issue = refusal({"op": "add", "path": "/x", "value": 1}, operation).issue
    code, diagnostics = MESSAGES[message]
    name = at[1:]
    path = operation.get(name) if isinstance(operation, dict) else None
    shown = f"{path[:100]}…" if isinstance(path, str) and len(path) > 100 else path
    assert issue.diagnostics == diagnostics.format(name=name, path=shown)
    assert (issue.code, issue.location, issue.severity, issue.expression) == (code, f"[1]{at}", "error", "")


@pytest.mark.parametrize("operations", [None, {}, "[]", {"op": "remove", "path": "/active"}, 1])
def test_a_patch_that_is_not_a_list(operations: Any) -> None:
    with pytest.raises(PatchError) as caught:
        apply_json_patch(patient(), operations)
    issue = caught.value.issue
    assert (issue.code, issue.location) == ("structure", "")
    assert issue.diagnostics == 'a JSON Patch is an array of operations, as in [{"op": "remove", ...}]'


def test_a_patch_cannot_double_the_resource_for_ever() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(16)]
    issue = refusal(*doubling).issue
    assert issue.code == "too-costly"
    assert issue.diagnostics == "the patch copies more than 1000000 characters: update instead"
    assert issue.location == "[13]/from"


def test_a_patch_cannot_nest_without_end() -> None:
    nesting = [{"op": "add", "path": "/x" * number, "value": {}} for number in range(1, MAX_DEPTH + 1)]
    patched(*nesting[:-1])
    issue = refusal(*nesting).issue
    assert (issue.code, issue.diagnostics) == ("too-long", f"the resource would nest deeper than {MAX_DEPTH} levels")
    assert issue.location == f"[{MAX_DEPTH - 1}]/value"


def test_the_deepest_value() -> None:
    value: Any = []
    for _ in range(MAX_DEPTH - 2):
        value = [value]
    assert patched({"op": "add", "path": "/x", "value": value})["x"] == value
    issue = refusal({"op": "add", "path": "/x", "value": [value]}).issue
    assert (issue.code, issue.location) == ("too-long", "[0]/value")
    issue = refusal({"op": "replace", "path": "/active", "value": [value]}).issue
    assert (issue.code, issue.location) == ("too-long", "[0]/value")


@given(OBJECTS, OBJECTS)
def test_the_difference_applied_gives_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = copy.deepcopy(before)
    result = apply_json_patch(before, difference(before, after))
    assert typed(result) == typed(after)
    assert typed(before) == typed(kept)


@given(OBJECTS, JSON)
def test_what_is_added_can_be_tested_and_removed(document: dict[str, Any], value: Any) -> None:
    document.pop("new", None)
    operations = [
        {"op": "add", "path": "/new", "value": value},
        {"op": "test", "path": "/new", "value": value},
        {"op": "copy", "from": "/new", "path": "/newer"},
        {"op": "remove", "path": "/new"},
        {"op": "move", "from": "/newer", "path": "/new"},
        {"op": "test", "path": "/new", "value": value},
        {"op": "remove", "path": "/new"},
    ]
    assert typed(apply_json_patch(document, operations)) == typed(document)


@given(OBJECTS, st.lists(OPERATIONS, max_size=4) | JSON)
def test_garbage_raises_nothing_but_patch_errors(document: dict[str, Any], operations: Any) -> None:
    kept = copy.deepcopy(document)
    try:
        assert isinstance(apply_json_patch(document, operations), dict)
    except PatchError as error:
        assert error.issue.diagnostics  # noqa: PT017 - what is asserted is that no other exception comes
    assert typed(document) == typed(kept)


def difference(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """Return operations that make `after` of `before`: members one by one, arrays from the end."""
    if isinstance(before, dict) and isinstance(after, dict):
        operations = [{"op": "remove", "path": f"{path}/{escaped(name)}"} for name in before if name not in after]
        for name, value in after.items():
            below = f"{path}/{escaped(name)}"
            added = [{"op": "add", "path": below, "value": value}]
            operations += difference(before[name], value, below) if name in before else added
        return operations
    if isinstance(before, list) and isinstance(after, list):
        operations = [{"op": "remove", "path": f"{path}/{n}"} for n in range(len(before) - 1, len(after) - 1, -1)]
        for number, value in enumerate(after):
            added = [{"op": "add", "path": f"{path}/-", "value": value}]
            operations += difference(before[number], value, f"{path}/{number}") if number < len(before) else added
        return operations
    return [] if typed(before) == typed(after) else [{"op": "replace", "path": path, "value": after}]


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def typed(value: Any) -> Any:
    """Return the value with its types made visible, because Python holds True, 1 and 1.0 for equal."""
    if isinstance(value, dict):
        return {name: typed(child) for name, child in value.items()}
    if isinstance(value, list):
        return [typed(child) for child in value]
    return type(value).__name__, str(value)
