"""FHIRPath Patch: paths, parts, order of operations, and every refusal with the operation it is about."""

# ruff: noqa: E501 - a case is one line

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.patch import PatchError, apply_fhirpath_patch

Json = dict[str, Any]


def patient() -> Json:
    return {
        "resourceType": "Patient",
        "name": [
            {"use": "official", "family": "Ek", "given": ["A", "B"]},
            {"use": "usual", "given": ["C"], "_given": [{"id": "c"}]},
        ],
        "birthDate": "1930",
        "_birthDate": {"extension": [{"url": "urn:x", "valueString": "y"}]},
        "deceasedBoolean": False,
    }


def operation(kind: str, path: str, **parts: Any) -> Json:
    """Return an operation whose other parts are given as text, number or, for the value, as the members of the part."""
    listed: list[Json] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        members = (
            value if isinstance(value, dict) else {"valueString" if isinstance(value, str) else "valueInteger": value}
        )
        listed.append({"name": name, **members})
    return {"name": "operation", "part": listed}


def parameters(*operations: Any) -> Json:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def patched(*operations: Json) -> Json:
    before, patch = patient(), parameters(*operations)
    kept = copy.deepcopy(patch)
    after = apply_fhirpath_patch(before, patch)
    assert (before, patch) == (patient(), kept)
    return after


def refusal(*operations: Any) -> tuple[str, str, str]:
    before = patient()
    with pytest.raises(PatchError) as caught:
        apply_fhirpath_patch(before, parameters(*operations))
    assert before == patient()
    issue = caught.value.issue
    assert (issue.severity, issue.location) == ("error", "")
    assert str(caught.value) == issue.diagnostics
    return issue.code, issue.expression, issue.diagnostics


@pytest.mark.parametrize(
    "path", ["Patient.name[0].family", "name[0].family", "Patient.name.where(use = 'official').family"]
)
def test_a_path_to_one_element(path: str) -> None:
    assert patched(operation("replace", path, value={"valueString": "Ur"}))["name"][0]["family"] == "Ur"


@pytest.mark.parametrize(
    "path", ["Patient.deceased", "(Patient.deceased as boolean)", "Patient.deceased.ofType(boolean)"]
)
def test_a_path_to_a_choice(path: str) -> None:
    after = patched(operation("replace", path, value={"valueDateTime": "2020"}))
    assert after["deceasedDateTime"] == "2020"
    assert "deceasedBoolean" not in after


def test_a_path_to_a_primitive_takes_its_extensions_too() -> None:
    after = patched(operation("delete", "Patient.birthDate"), operation("delete", "Patient.name[1].given"))
    assert after == {
        "resourceType": "Patient",
        "name": [{"use": "official", "family": "Ek", "given": ["A", "B"]}, {"use": "usual"}],
        "deceasedBoolean": False,
    }


def test_a_path_through_the_extensions_of_a_primitive() -> None:
    after = patched(operation("replace", "Patient.birthDate.extension[0].value", value={"valueCode": "z"}))
    assert after["_birthDate"] == {"extension": [{"url": "urn:x", "valueCode": "z"}]}
    assert after["birthDate"] == "1930"
    after = patched(operation("delete", "Patient.birthDate.extension.where(url = 'urn:x')"))
    assert after == {name: value for name, value in patient().items() if name != "_birthDate"}


def test_add_to_a_primitive() -> None:
    value = {"valueString": "b"}
    after = patched(operation("add", "Patient.birthDate", name="id", value=value))
    assert after["_birthDate"] == {"extension": [{"url": "urn:x", "valueString": "y"}], "id": "b"}
    after = patched(operation("add", "Patient.name[0].given[1]", name="id", value=value))
    assert after["name"][0]["_given"] == [None, {"id": "b"}]


def test_add_insert_and_move_in_lists() -> None:
    assert patched(
        operation("add", "Patient", name="contact", value={"part": [{"name": "gender", "valueCode": "male"}]}),
        operation("add", "Patient.contact", name="name", value={"valueHumanName": {"text": "D"}}),
        operation("insert", "Patient.name[0].given", index=2, value={"valueString": "E"}),
        operation("move", "Patient.name[0].given", source=2, destination=0),
        operation("move", "Patient.name", source=0, destination=1),
    ) == patient() | {
        "name": [patient()["name"][1], {"use": "official", "family": "Ek", "given": ["E", "A", "B"]}],
        "contact": [{"gender": "male", "name": {"text": "D"}}],
    }


def test_delete_of_what_is_not_there() -> None:
    assert patched(operation("delete", "Patient.photo"), operation("delete", "Patient.name[7]")) == patient()


def test_operations_see_those_before_them() -> None:
    after = patched(
        operation("delete", "Patient.name[0]"),
        operation("replace", "Patient.name[0].use", value={"valueCode": "official"}),
        operation("delete", "Patient.name.where(use = 'official')"),
        operation("add", "Patient", name="name", value={"valueHumanName": {"text": "F"}}),
    )
    assert after["name"] == [{"text": "F"}]


@pytest.mark.parametrize("empty", [{}, {"parameter": []}])
def test_no_operations_give_an_equal_resource(empty: Json) -> None:
    before = patient()
    after = apply_fhirpath_patch(before, {"resourceType": "Parameters", **empty})
    assert after == before
    assert after["name"] is not before["name"]


@pytest.mark.parametrize("value", [None, [], {}, {"resourceType": "Patient"}, "Parameters"])
def test_a_patch_that_is_no_parameters(value: Any) -> None:
    with pytest.raises(PatchError) as caught:
        apply_fhirpath_patch(patient(), value)
    assert caught.value.issue.code == "structure"
    assert caught.value.issue.diagnostics == "a FHIRPath Patch is a Parameters resource"


def test_a_patch_whose_parameter_is_no_list() -> None:
    with pytest.raises(PatchError) as caught:
        apply_fhirpath_patch(patient(), {"resourceType": "Parameters", "parameter": {"name": "operation"}})
    issue = caught.value.issue
    assert (issue.code, issue.expression) == ("structure", "Parameters.parameter")
    assert issue.diagnostics == "parameter is a list of operations"


VALUE = {"valueString": "a"}

REFUSED = [
    (1, "value", "every parameter of a patch is an operation: name it operation"),
    ({"part": []}, "value", "every parameter of a patch is an operation: name it operation"),
    ({"name": "Operation", "part": []}, "value", "every parameter of a patch is an operation: name it operation"),
    ({"name": "operation"}, "structure", "an operation has a list of parts: type, path and what the type needs"),
    ({"name": "operation", "part": {}}, "structure", "an operation has a list of parts: type, path and what the type needs"),
    ({"name": "operation", "part": ["type"]}, "value", "every part of an operation has a name, and no two have the same"),
    ({"name": "operation", "part": [{"valueCode": "add"}]}, "value", "every part of an operation has a name, and no two have the same"),
    ({"name": "operation", "part": [{"name": "type", "valueCode": "add"}] * 2}, "value", "every part of an operation has a name, and no two have the same"),
    ({"name": "operation", "part": []}, "required", "the operation has no part type: add, insert, delete, replace or move"),
    ({"name": "operation", "part": [{"name": "type"}]}, "value", "the part type has one value: add, insert, delete, replace or move"),
    ({"name": "operation", "part": [{"name": "type", "valueInteger": 1}]}, "value", "the part type has one value: add, insert, delete, replace or move"),
    ({"name": "operation", "part": [{"name": "type", "valueCode": "add", "valueString": "add"}]}, "value", "the part type has one value: add, insert, delete, replace or move"),
    (operation("remove", "Patient.name"), "value", "unknown type of operation: use one of add, insert, delete, replace, move"),
    ({"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]}, "required", "delete needs the parts path: there is no path"),
    (operation("add", "Patient", value=VALUE), "required", "add needs the parts path, name, value: there is no name"),
    (operation("add", "Patient", name="gender"), "required", "add needs the parts path, name, value: there is no value"),
    (operation("insert", "Patient.name", value=VALUE), "required", "insert needs the parts path, index, value: there is no index"),
    (operation("insert", "Patient.name", index=0), "required", "insert needs the parts path, index, value: there is no value"),
    (operation("replace", "Patient.name"), "required", "replace needs the parts path, value: there is no value"),
    (operation("move", "Patient.name", source=0), "required", "move needs the parts path, source, destination: there is no destination"),
    (operation("move", "Patient.name", destination=0), "required", "move needs the parts path, source, destination: there is no source"),
    (operation("delete", "Patient.name[0]", index=0), "value", "delete takes the parts type, path and no other"),
    (operation("replace", "Patient.birthDate", value=VALUE, name="a"), "value", "replace takes the parts type, path, value and no other"),
    (operation("insert", "Patient.name", index="0", value=VALUE), "value", "the part index has one value: a whole number, 0 for the front of the list"),
    (operation("insert", "Patient.name", index={"valueBoolean": True}, value=VALUE), "value", "the part index has one value: a whole number, 0 for the front of the list"),
    (operation("insert", "Patient.name", index=3, value=VALUE), "value", "index is outside the list: use a number from 0 to 2"),
    (operation("move", "Patient.name", source=2, destination=0), "value", "source is outside the list: use a number from 0 to 1"),
    (operation("move", "Patient.name", source=0, destination=-1), "value", "destination is outside the list: use a number from 0 to 1"),
    (operation("add", "Patient", name=1, value=VALUE), "value", "the part name has one value: the name of the element to add"),
    (operation("add", "Patient.contact", name="gender", value=VALUE), "not-found", "no element matches the path: add what it goes through first"),
    (operation("add", "Patient.name.where(use = 'old')", name="text", value=VALUE), "not-found", "no element matches the path: add what it goes through first"),
    (operation("replace", "Patient.gender", value=VALUE), "not-found", "no element matches the path: add what it goes through first"),
    (operation("insert", "Patient.photo", index=0, value=VALUE), "not-found", "no element matches the path: to begin a list, use add"),
    (operation("add", "Patient.name", name="text", value=VALUE), "multiple-matches", "2 elements match the path, one is allowed: narrow it with an index or where()"),
    (operation("replace", "Patient.name.given", value=VALUE), "multiple-matches", "3 elements match the path, one is allowed: narrow it with an index or where()"),
    (operation("delete", "Patient.name"), "multiple-matches", "2 elements match the path, one is allowed: narrow it with an index or where()"),
    (operation("delete", "Patient"), "value", "the path leads to the resource itself: delete or update that instead"),
    (operation("insert", "Patient.name.given", index=0, value=VALUE), "value", "the path leads to less or more than one whole list: name it as in Patient.identifier"),
    (operation("insert", "Patient.birthDate", index=0, value=VALUE), "value", "the path does not lead to a list: use add, or replace"),
    (operation("replace", "Patient.name[0]", value=VALUE), "value", "name is a HumanName, not a string"),
    (operation("add", "Patient", name="birthDate", value=VALUE), "duplicate", "birthDate exists already and does not repeat: replace it"),
]  # fmt: skip


@pytest.mark.parametrize(("refused", "code", "diagnostics"), REFUSED)
def test_refusals(refused: Any, code: str, diagnostics: str) -> None:
    before = operation("delete", "Patient.photo")
    assert refusal(before, refused) == (code, "Parameters.parameter[1]", diagnostics)


@pytest.mark.parametrize(
    "path", ["", "Patient.", "Patient.name[", "Patient.name)", "'Patient'", "Patient.name.count()", "1"]
)
def test_a_path_that_leads_nowhere(path: str) -> None:
    code, expression, diagnostics = refusal(operation("delete", path))
    assert (code, expression) == ("value", "Parameters.parameter[0]")
    assert diagnostics.startswith("the path cannot be followed: ")


PATHS = st.sampled_from(
    [
        "Patient",
        "Patient.name",
        "Patient.name[0].given",
        "Patient.deceased",
        "Patient.birthDate",
        "Patient.photo",
        "(",
        "",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 4) | st.text(max_size=3) | st.sampled_from(["name", "gender", "given"])
)
MEMBERS = st.dictionaries(
    st.sampled_from(["valueString", "valueCode", "valueInteger", "_valueString", "valueHumanName", "part", "resource", "x"]),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "given", "id"]), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)  # fmt: skip
PARTS = st.builds(
    lambda kind, path, rest: [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}, *rest],
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    PATHS,
    st.lists(
        st.builds(
            lambda name, members: {"name": name, **members},
            st.sampled_from(["name", "value", "index", "source", "destination"]),
            MEMBERS,
        ),
        max_size=3,
    ),
)
GARBAGE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)


@given(st.lists(st.builds(lambda parts: {"name": "operation", "part": parts}, PARTS | GARBAGE) | GARBAGE, max_size=3))
def test_garbage_raises_nothing_but_patch_errors(operations: list[Any]) -> None:
    before = patient()
    try:
        after = apply_fhirpath_patch(before, parameters(*operations))
        assert after["resourceType"] == "Patient"
    except PatchError as error:
        assert error.issue.diagnostics  # noqa: PT017 - what is asserted is that no other exception comes
    assert before == patient()
