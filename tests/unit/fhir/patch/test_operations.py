"""Insert, delete, replace and move at given locations: primitives and their extensions, lists, choices, what is empty."""

# ruff: noqa: E501 - a case is one line

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_server.fhir.patch.errors import Refused
from fhir_server.fhir.patch.operations import delete, insert, move, replace

Json = dict[str, Any]
Location = tuple[str | int, ...]

NOTE: Json = {"extension": [{"url": "urn:note", "valueString": "n"}]}
OTHER: Json = {"id": "o"}


def inserted(before: Json, locations: list[Location], index: int, /, **value: Any) -> Json:
    result = copy.deepcopy(before)
    insert(result, locations, index, value)
    return result


def deleted(resource: Json, *locations: Location) -> Json:
    result = copy.deepcopy(resource)
    delete(result, locations)
    return result


def replaced(before: Json, location: Location, /, **value: Any) -> Json:
    result = copy.deepcopy(before)
    replace(result, [location], value)
    return result


def moved(resource: Json, locations: list[Location], source: int, destination: int) -> Json:
    result = copy.deepcopy(resource)
    move(result, locations, source, destination)
    return result


def patient(**members: Any) -> Json:
    return {"resourceType": "Patient", **members}


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", **members}


def human(**members: Any) -> Json:
    return patient(name=[members])


NAMES: list[Location] = [("name", 0), ("name", 1), ("name", 2)]
GIVEN: list[Location] = [("name", 0, "given", 0), ("name", 0, "given", 1)]


# insert


@pytest.mark.parametrize(("index", "texts"), [(0, "xabc"), (1, "axbc"), (3, "abcx")])
def test_insert(index: int, texts: str) -> None:
    before = patient(name=[{"text": text} for text in "abc"])
    after = inserted(before, NAMES, index, valueHumanName={"text": "x"})
    assert after == patient(name=[{"text": text} for text in texts])


def test_insert_keeps_primitives_and_their_extensions_together() -> None:
    before = human(given=["a", None], _given=[None, NOTE])
    after = inserted(before, GIVEN, 0, valueString="x", _valueString=OTHER)
    assert after == human(given=["x", "a", None], _given=[OTHER, None, NOTE])
    assert inserted(before, GIVEN, 1, valueString="x") == human(given=["a", "x", None], _given=[None, None, NOTE])


@pytest.mark.parametrize("index", [-1, 4])
def test_insert_outside_the_list(index: int) -> None:
    with pytest.raises(Refused, match=r"^index is outside the list: use a number from 0 to 3$"):
        inserted(patient(name=[{}, {}, {}]), NAMES, index, valueHumanName={"text": "x"})


def test_insert_checks_the_type() -> None:
    with pytest.raises(Refused, match=r"^name is a HumanName, not a string$"):
        inserted(patient(name=[{}, {}, {}]), NAMES, 0, valueString="x")


@pytest.mark.parametrize(
    ("locations", "code", "diagnostics"),
    [
        ([], "not-found", "no element matches the path: to begin a list, use add"),
        ([()], "value", "the path does not lead to a list: use add, or replace"),
        ([("gender",)], "value", "the path does not lead to a list: use add, or replace"),
        (NAMES[:2], "value", "the path leads to less or more than one whole list: name it as in Patient.identifier"),
        ([("name", 1)], "value", "the path leads to less or more than one whole list: name it as in Patient.identifier"),
        ([*NAMES, ("contact", 0)], "value", "the path leads to less or more than one whole list: name it as in Patient.identifier"),
    ],
)  # fmt: skip
def test_a_list_is_needed(locations: list[Location], code: str, diagnostics: str) -> None:
    resource = patient(gender="male", name=[{}, {}, {}], contact=[{}])
    with pytest.raises(Refused) as caught:
        insert(resource, locations, 0, {"valueHumanName": {"text": "x"}})
    assert (caught.value.code, caught.value.diagnostics) == (code, diagnostics)
    with pytest.raises(Refused) as caught:
        move(resource, locations, 0, 0)
    assert (caught.value.code, caught.value.diagnostics) == (code, diagnostics)


# delete


@pytest.mark.parametrize(
    ("before", "location", "after"),
    [
        (patient(birthDate="1", gender="male"), ("birthDate",), patient(gender="male")),
        (patient(birthDate="1", _birthDate=NOTE), ("birthDate",), patient()),
        (patient(_birthDate=NOTE), ("birthDate",), patient()),
        (patient(birthDate="1", _birthDate=NOTE), ("_birthDate", "extension", 0), patient(birthDate="1")),
        (patient(birthDate="1", _birthDate=NOTE | OTHER), ("_birthDate", "extension", 0), patient(birthDate="1", _birthDate=OTHER)),
        (patient(_birthDate=NOTE), ("_birthDate", "extension", 0), patient()),
        (patient(deceasedBoolean=True), ("deceasedBoolean",), patient()),
        (patient(name=[{"text": "a"}, {"text": "b"}]), ("name", 0), patient(name=[{"text": "b"}])),
        (patient(name=[{"text": "a"}, {"text": "b"}]), ("name", 1), patient(name=[{"text": "a"}])),
        (patient(name=[{"text": "a"}]), ("name", 0), patient()),
        (patient(name=[{"text": "a"}, {"text": "b"}]), ("name", 0, "text"), patient(name=[{"text": "b"}])),
        (human(given=["a", "b"]), ("name", 0, "given", 0), human(given=["b"])),
        (human(given=["a"]), ("name", 0, "given", 0), patient()),
        (human(given=["a", "b"], _given=[NOTE]), ("name", 0, "given", 0), human(given=["b"])),
        (human(given=["a", "b"], _given=[NOTE]), ("name", 0, "given", 1), human(given=["a"], _given=[NOTE])),
        (human(given=[None, "b"], _given=[NOTE, None]), ("name", 0, "_given", 0, "extension", 0), human(given=["b"])),
        (human(given=["a", "b"], _given=[NOTE, OTHER]), ("name", 0, "_given", 0, "extension", 0), human(given=["a", "b"], _given=[None, OTHER])),
        (human(_given=[NOTE]), ("name", 0, "_given", 0, "extension", 0), patient()),
        (patient(contact=[{"name": {"text": "a"}, "gender": "male"}]), ("contact", 0, "name", "text"), patient(contact=[{"gender": "male"}])),
        (patient(contact=[{"name": {"text": "a"}}]), ("contact", 0, "name", "text"), patient()),
        (patient(contained=[{"resourceType": "Group", "active": True}]), ("contained", 0, "active"), patient(contained=[{"resourceType": "Group"}])),
    ],
)  # fmt: skip
def test_delete(before: Json, location: Location, after: Json) -> None:
    assert deleted(before, location) == after


def test_delete_of_nothing_changes_nothing() -> None:
    assert deleted(patient(active=True)) == patient(active=True)


def test_delete_of_the_only_member() -> None:
    assert deleted({"active": True}, ("active",)) == {}


def test_delete_takes_one_element_at_most() -> None:
    with pytest.raises(Refused) as caught:
        deleted(patient(name=[{}, {}, {}]), *NAMES)
    assert caught.value.code == "multiple-matches"
    assert caught.value.diagnostics.startswith("3 elements match the path, one is allowed")


def test_the_resource_itself_stays() -> None:
    message = r"^the path leads to the resource itself: delete or update that instead$"
    with pytest.raises(Refused, match=message):
        deleted(patient(), ())
    with pytest.raises(Refused, match=message):
        replaced(patient(), (), resource={"resourceType": "Group"})


# replace


@pytest.mark.parametrize(
    ("before", "location", "value", "after"),
    [
        (patient(birthDate="1"), ("birthDate",), {"valueDate": "2"}, patient(birthDate="2")),
        (patient(birthDate="1", _birthDate=NOTE), ("birthDate",), {"valueDate": "2"}, patient(birthDate="2")),
        (patient(birthDate="1"), ("birthDate",), {"_valueDate": NOTE}, patient(_birthDate=NOTE)),
        (patient(_birthDate=NOTE), ("birthDate",), {"valueDate": "2"}, patient(birthDate="2")),
        (patient(deceasedBoolean=True), ("deceasedBoolean",), {"valueDateTime": "2"}, patient(deceasedDateTime="2")),
        (patient(maritalStatus={"id": "1", "text": "a"}), ("maritalStatus",), {"valueCodeableConcept": {"text": "b"}}, patient(maritalStatus={"text": "b"})),
        (patient(text={"div": "<div/>"}), ("text", "div"), {"valueString": "<div>a</div>"}, patient(text={"div": "<div>a</div>"})),
        (patient(name=[{"text": "a"}, {"text": "b"}]), ("name", 1), {"valueHumanName": {"text": "c"}}, patient(name=[{"text": "a"}, {"text": "c"}])),
        (patient(name=[{"text": "a"}]), ("name", 0), {"part": [{"name": "text", "valueString": "c"}]}, patient(name=[{"text": "c"}])),
        (human(given=["a", "b"], _given=[NOTE, OTHER]), ("name", 0, "given", 0), {"valueString": "c"}, human(given=["c", "b"], _given=[None, OTHER])),
        (human(given=["a"]), ("name", 0, "given", 0), {"_valueString": NOTE}, human(_given=[NOTE])),
        (patient(_birthDate=NOTE), ("_birthDate", "extension", 0, "valueString"), {"valueCode": "c"}, patient(_birthDate={"extension": [{"url": "urn:note", "valueCode": "c"}]})),
        (patient(contained=[{"resourceType": "Group"}]), ("contained", 0), {"resource": {"resourceType": "List"}}, patient(contained=[{"resourceType": "List"}])),
        (observation(valueString="a"), ("valueString",), {"valueQuantity": {"value": 1}}, observation(valueQuantity={"value": 1})),
        ({"resourceType": "Condition", "onsetAge": {"value": 1}}, ("onsetAge",), {"valueAge": {"value": 2}}, {"resourceType": "Condition", "onsetAge": {"value": 2}}),
        ({"resourceType": "SupplyRequest", "quantity": {"value": 1}}, ("quantity",), {"valueAge": {"value": 2}}, {"resourceType": "SupplyRequest", "quantity": {"value": 2}}),
        ({"resourceType": "Bundle", "entry": [{"resource": patient(active=True)}]}, ("entry", 0, "resource", "active"), {"valueBoolean": False}, {"resourceType": "Bundle", "entry": [{"resource": patient(active=False)}]}),
    ],
)  # fmt: skip
def test_replace(before: Json, location: Location, value: Json, after: Json) -> None:
    assert replaced(before, location, **value) == after


def test_a_replaced_element_keeps_its_place() -> None:
    before = observation(status="final", valueString="a", _valueString=NOTE, note=[{"text": "n"}])
    after = replaced(before, ("valueString",), valueQuantity={"value": 1})
    assert list(after) == ["resourceType", "status", "valueQuantity", "note"]
    after = replaced(before, ("valueString",), valueString="b", _valueString=OTHER)
    assert list(after) == ["resourceType", "status", "valueString", "_valueString", "note"]


@pytest.mark.parametrize(
    ("locations", "code"), [([], "not-found"), ([("name", 0, "given", 0), ("name", 0, "given", 1)], "multiple-matches")]
)
def test_replace_needs_one_element(locations: list[Location], code: str) -> None:
    with pytest.raises(Refused) as caught:
        replace(human(given=["a", "b"]), locations, {"valueString": "c"})
    assert caught.value.code == code


def test_replace_checks_the_type() -> None:
    with pytest.raises(Refused, match=r"^value cannot be a Address: use one of valueQuantity, valueCodeableConcept, "):
        replaced(observation(valueString="a"), ("valueString",), valueAddress={"text": "b"})
    with pytest.raises(Refused, match=r"^text is a Narrative, not a string$"):
        replaced(patient(text={"div": "<div/>"}), ("text",), valueString="b")
    with pytest.raises(Refused, match=r"^onset cannot be a Quantity: use one of valueDateTime, valueAge"):
        replaced({"resourceType": "Condition", "onsetAge": {"value": 1}}, ("onsetAge",), valueQuantity={"value": 1})


# move


@pytest.mark.parametrize(
    ("source", "destination", "texts"),
    [(2, 0, "cab"), (0, 2, "bca"), (1, 2, "acb"), (1, 1, "abc"), (0, 1, "bac")],
)
def test_move(source: int, destination: int, texts: str) -> None:
    before = patient(name=[{"text": text} for text in "abc"])
    assert moved(before, NAMES, source, destination) == patient(name=[{"text": text} for text in texts])


def test_move_takes_the_extensions_along() -> None:
    before = human(given=["a", "b"], _given=[NOTE, None])
    assert moved(before, GIVEN, 0, 1) == human(given=["b", "a"], _given=[None, NOTE])


@pytest.mark.parametrize(
    ("source", "destination", "name"),
    [(-1, 0, "source"), (3, 0, "source"), (0, -1, "destination"), (0, 3, "destination")],
)
def test_move_outside_the_list(source: int, destination: int, name: str) -> None:
    with pytest.raises(Refused, match=rf"^{name} is outside the list: use a number from 0 to 2$"):
        moved(patient(name=[{}, {}, {}]), NAMES, source, destination)
