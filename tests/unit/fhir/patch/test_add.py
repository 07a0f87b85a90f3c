"""What a FHIRPath Patch adds, and where: data types, parts, resources, choices, extensions of primitives."""

# ruff: noqa: E501 - a case is one line

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.patch.errors import Refused
from fhir_server.fhir.patch.operations import add

Json = dict[str, Any]
Location = tuple[str | int, ...]

NOTE: Json = {"extension": [{"url": "urn:note", "valueString": "n"}]}
OTHER: Json = {"id": "o"}


def added(before: Json, location: Location, name: str, /, **value: Any) -> Json:
    result = copy.deepcopy(before)
    add(result, [location], name, value)
    return result


def patient(**members: Any) -> Json:
    return {"resourceType": "Patient", **members}


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", **members}


def human(**members: Any) -> Json:
    return patient(name=[members])


@pytest.mark.parametrize(
    ("before", "location", "name", "value", "after"),
    [
        (patient(), (), "birthDate", {"valueDate": "1930"}, patient(birthDate="1930")),
        (patient(), (), "birthDate", {"valueDate": "1930", "_valueDate": NOTE}, patient(birthDate="1930", _birthDate=NOTE)),
        (patient(), (), "birthDate", {"_valueDate": NOTE}, patient(_birthDate=NOTE)),
        (patient(), (), "active", {"valueBoolean": False}, patient(active=False)),
        (patient(), (), "gender", {"valueString": "male"}, patient(gender="male")),
        (patient(), (), "deceased", {"valueBoolean": True}, patient(deceasedBoolean=True)),
        (patient(), (), "deceasedDateTime", {"valueDateTime": "2020"}, patient(deceasedDateTime="2020")),
        (patient(), (), "multipleBirth", {"valueInteger": 2}, patient(multipleBirthInteger=2)),
        (patient(), (), "name", {"valueHumanName": {"text": "a"}}, patient(name=[{"text": "a"}])),
        (patient(name=[{"text": "a"}]), (), "name", {"valueHumanName": {"text": "b"}}, patient(name=[{"text": "a"}, {"text": "b"}])),
        (patient(name=[{"text": "a"}]), ("name", 0), "given", {"valueString": "b"}, patient(name=[{"text": "a", "given": ["b"]}])),
        (human(given=["a"]), ("name", 0), "given", {"valueString": "b"}, human(given=["a", "b"])),
        (human(given=["a"]), ("name", 0), "given", {"_valueString": NOTE}, human(given=["a", None], _given=[None, NOTE])),
        (human(given=["a", "b"], _given=[NOTE]), ("name", 0), "given", {"valueString": "c"}, human(given=["a", "b", "c"], _given=[NOTE, None, None])),
        (human(_given=[NOTE]), ("name", 0), "given", {"_valueString": OTHER}, human(_given=[NOTE, OTHER])),
        (patient(birthDate="1930"), ("birthDate",), "id", {"valueString": "o"}, patient(birthDate="1930", _birthDate=OTHER)),
        (patient(_birthDate=OTHER), ("birthDate",), "extension", {"valueExtension": {"url": "u"}}, patient(_birthDate={"id": "o", "extension": [{"url": "u"}]})),
        (human(given=["a", "b"]), ("name", 0, "given", 1), "id", {"valueString": "o"}, human(given=["a", "b"], _given=[None, OTHER])),
        (human(given=["a"], _given=[NOTE]), ("name", 0, "given", 0), "id", {"valueString": "o"}, human(given=["a"], _given=[NOTE | OTHER])),
        (patient(_birthDate=NOTE), ("_birthDate", "extension", 0), "id", {"valueString": "o"}, patient(_birthDate={"extension": [NOTE["extension"][0] | OTHER]})),
        (patient(), (), "contained", {"resource": {"resourceType": "Group", "active": True}}, patient(contained=[{"resourceType": "Group", "active": True}])),
        (patient(contained=[{"resourceType": "Group"}]), ("contained", 0), "active", {"valueBoolean": True}, patient(contained=[{"resourceType": "Group", "active": True}])),
        (observation(valueQuantity={"value": 1}), ("valueQuantity",), "unit", {"valueString": "g"}, observation(valueQuantity={"value": 1, "unit": "g"})),
        (observation(valueQuantity={"unit": "g"}), ("valueQuantity",), "value", {"valueDecimal": Decimal("1.0")}, observation(valueQuantity={"unit": "g", "value": Decimal("1.0")})),
        (observation(valueQuantity={"unit": "g"}), ("valueQuantity",), "value", {"valueInteger": 1}, observation(valueQuantity={"unit": "g", "value": 1})),
    ],
)  # fmt: skip
def test_add(before: Json, location: Location, name: str, value: Json, after: Json) -> None:
    assert added(before, location, name, **value) == after


def test_add_a_backbone_element_from_parts() -> None:
    parts = [
        {"name": "name", "valueHumanName": {"text": "a"}},
        {"name": "telecom", "part": [{"name": "system", "valueCode": "phone"}, {"name": "value", "valueString": "1"}]},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
        {"name": "gender", "valueCode": "male", "_valueCode": NOTE},
    ]
    assert added(patient(), (), "contact", part=parts) == patient(
        contact=[
            {
                "name": {"text": "a"},
                "telecom": [{"system": "phone", "value": "1"}, {"value": "2"}],
                "gender": "male",
                "_gender": NOTE,
            }
        ]
    )


def test_add_parts_of_a_choice_and_of_a_list_of_primitives() -> None:
    parts = [
        {"name": "code", "part": [{"name": "text", "valueString": "c"}]},
        {"name": "value", "valueQuantity": {"value": 1}},
    ]
    after = added(observation(), (), "component", part=parts)
    assert after == observation(component=[{"code": {"text": "c"}, "valueQuantity": {"value": 1}}])
    given = [{"name": "given", "valueString": "a"}, {"name": "given", "_valueString": NOTE}]
    assert added(patient(), (), "name", part=given) == human(given=["a", None], _given=[None, NOTE])


def test_add_an_extension_from_parts() -> None:
    parts = [{"name": "url", "valueUri": "urn:x"}, {"name": "value", "valueString": "y"}]
    after = added(patient(birthDate="1930"), ("birthDate",), "extension", part=parts)
    assert after == patient(birthDate="1930", _birthDate={"extension": [{"url": "urn:x", "valueString": "y"}]})


def test_what_is_added_is_not_shared_with_the_patch() -> None:
    value = {"valueHumanName": {"given": ["a"]}}
    resource = patient()
    add(resource, [()], "name", value)
    resource["name"][0]["given"].append("b")
    assert value == {"valueHumanName": {"given": ["a"]}}


ADD_REFUSED = [
    (patient(birthDate="1"), "birthDate", {"valueDate": "2"}, "duplicate", "birthDate exists already and does not repeat: replace it"),
    (patient(_birthDate=NOTE), "birthDate", {"valueDate": "2"}, "duplicate", "birthDate exists already and does not repeat: replace it"),
    (patient(deceasedBoolean=True), "deceased", {"valueDateTime": "2"}, "duplicate", "deceased exists already and does not repeat: replace it"),
    (patient(name={}), "name", {"valueHumanName": {"text": "a"}}, "structure", "name is not an array in the resource, as it has to be"),
    (patient(), "birthdate", {"valueDate": "2"}, "value", "Patient has no element of that name: it has id, meta, "),
    (patient(), "resourceType", {"valueCode": "2"}, "value", "Patient has no element of that name: it has id, meta, "),
    (patient(), "deceased[x]", {"valueBoolean": True}, "value", "Patient has no element of that name: it has id, meta, "),
    (patient(), "deceasedBoolean", {"valueDateTime": "2020"}, "value", "deceasedBoolean cannot hold this type of value: call it deceased"),
    (patient(), "deceased", {"valueString": "x"}, "value", "deceased cannot be a string: use one of valueBoolean, valueDateTime"),
    (patient(), "deceased", {"part": [{"name": "id"}]}, "value", "deceased has no parts: use one of valueBoolean, valueDateTime"),
    (patient(), "birthDate", {"valueInteger": 1930}, "value", "birthDate is a date, not a integer"),
    (patient(), "birthDate", {"valueQuantity": {"value": 1}}, "value", "birthDate is a date, not a Quantity"),
    (patient(), "birthDate", {"part": [{"name": "id", "valueString": "a"}]}, "value", "birthDate has no parts: use one of valueDate"),
    (patient(), "birthDate", {"resource": {"resourceType": "Group"}}, "value", "birthDate is not a resource: use valueDate"),
    (patient(), "active", {"valueString": "true"}, "value", "active is a boolean, not a string"),
    (patient(), "active", {"valueBoolean": "true"}, "value", "the value is not what JSON has for a boolean"),
    (patient(), "multipleBirth", {"valueInteger": True}, "value", "the value is not what JSON has for a integer"),
    (patient(), "multipleBirth", {"valueInteger": Decimal("1.0")}, "value", "the value is not what JSON has for a integer"),
    (patient(), "gender", {"valueCode": 1}, "value", "the value is not what JSON has for a code"),
    (patient(), "gender", {"valueCode": ["male"]}, "value", "the value is not what JSON has for a code"),
    (patient(), "gender", {"valueCode": None}, "value", "the value is null"),
    (patient(), "gender", {"_valueCode": {}}, "value", "the id and extensions of a value are an object that is not empty"),
    (patient(), "gender", {"valueCode": "male", "_valueCode": 1}, "value", "the id and extensions of a value are an object that is not empty"),
    (patient(), "maritalStatus", {"valueCoding": {"code": "M"}}, "value", "maritalStatus is a CodeableConcept, not a Coding"),
    (patient(), "maritalStatus", {"valueCodeableConcept": {}}, "value", "valueCodeableConcept is an object that is not empty"),
    (patient(), "maritalStatus", {"valueCodeableConcept": "M"}, "value", "valueCodeableConcept is an object that is not empty"),
    (patient(), "maritalStatus", {"valueCodeableConcept": {"text": "M"}, "_valueCodeableConcept": {"id": "a"}}, "value", "valueCodeableConcept is an object that is not empty"),
    (patient(), "maritalStatus", {"valueMarriage": {"text": "M"}}, "value", "the value is of a data type that FHIR R4 does not have"),
    (patient(), "maritalStatus", {"value": {"text": "M"}}, "value", "the value is of a data type that FHIR R4 does not have"),
    (patient(), "maritalStatus", {"valuepart": {"text": "M"}}, "value", "the value is of a data type that FHIR R4 does not have"),
    (patient(), "maritalStatus", {}, "value", "a value is exactly one of a value of some data type, a resource, or parts"),
    (patient(), "gender", {"valueCode": "a", "valueString": "b"}, "value", "a value is exactly one of a value of some data type, a resource, or parts"),
    (patient(), "contact", {"valueHumanName": {"text": "a"}}, "value", "contact is a Patient.contact, not a HumanName: give its children as parts"),
    (patient(), "contact", {"part": []}, "value", "part is a list that is not empty, with one part for each child"),
    (patient(), "contact", {"part": {"name": "gender"}}, "value", "part is a list that is not empty, with one part for each child"),
    (patient(), "contact", {"part": ["gender"]}, "value", "every part is an object with the name of the child it stands for"),
    (patient(), "contact", {"part": [{"valueCode": "male"}]}, "value", "every part is an object with the name of the child it stands for"),
    (patient(), "contact", {"part": [{"name": "sex", "valueCode": "male"}]}, "value", "Patient.contact has no element of that name: it has id, extension, "),
    (patient(), "contact", {"part": [{"name": "gender", "valueCode": "male"}] * 2}, "duplicate", "gender exists already and does not repeat: replace it"),
    (patient(), "contact", {"resource": {"resourceType": "Group"}}, "value", "contact is not a resource: use part"),
    (patient(), "contained", {"valueReference": {"reference": "#a"}}, "value", "contained is a Resource, not a Reference: put the resource into the parameter's `resource`"),
    (patient(), "contained", {"part": [{"name": "id"}]}, "value", "contained has no parts: use one of resource"),
    (patient(), "contained", {"resource": []}, "value", "resource is an object"),
    (patient(), "contained", {"resource": {"resourceType": ["Group"]}}, "value", "the resource has no resourceType that FHIR R4 knows"),
    ({"resourceType": "Dragon"}, "id", {"valueId": "a"}, "value", "the resource has no resourceType that FHIR R4 knows"),
    ({}, "id", {"valueId": "a"}, "value", "the resource has no resourceType that FHIR R4 knows"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "name", "value", "code", "diagnostics"), ADD_REFUSED)
def test_add_refused(resource: Json, name: str, value: Json, code: str, diagnostics: str) -> None:
    with pytest.raises(Refused) as caught:
        add(resource, [()], name, value)
    assert caught.value.code == code
    if diagnostics.endswith(", "):
        assert caught.value.diagnostics.startswith(diagnostics)
    else:
        assert caught.value.diagnostics == diagnostics


@pytest.mark.parametrize(
    ("locations", "code", "diagnostics"),
    [
        ([], "not-found", "no element matches the path: add what it goes through first"),
        (
            [("name", 0), ("name", 1)],
            "multiple-matches",
            "2 elements match the path, one is allowed: narrow it with an index or where()",
        ),
    ],
)
def test_add_needs_one_place(locations: list[Location], code: str, diagnostics: str) -> None:
    with pytest.raises(Refused) as caught:
        add(patient(name=[{}, {}]), locations, "text", {"valueString": "a"})
    assert (caught.value.code, caught.value.diagnostics) == (code, diagnostics)


def test_add_to_a_member_that_the_type_does_not_have() -> None:
    with pytest.raises(Refused, match=r"^the path leads through a member that Patient does not have$"):
        add(patient(colour={}), [("colour",)], "text", {"valueString": "a"})


def test_add_where_the_extensions_of_a_primitive_are_no_object() -> None:
    with pytest.raises(Refused, match=r"^the path leads through a place where the resource has no object$"):
        add(patient(birthDate="1", _birthDate=[]), [("birthDate",)], "id", {"valueString": "a"})


def nested(levels: int) -> Json:
    """An extension that nests that many objects and arrays."""
    value: Json = {"url": "u"}
    for _ in range((levels - 1) // 2):
        value = {"extension": [value]}
    return value


def test_nothing_is_added_below_the_deepest_level() -> None:
    deepest = nested(MAX_DEPTH - 3)
    assert added(patient(), (), "extension", valueExtension=deepest) == patient(extension=[deepest])
    with pytest.raises(Refused) as caught:
        added(patient(), (), "extension", valueExtension={"extension": [deepest]})
    assert (caught.value.code, caught.value.diagnostics) == (
        "too-long",
        "the resource would nest deeper than 64 levels",
    )


def test_parts_nest_no_deeper_either() -> None:
    value: Json = {"name": "extension", "part": [{"name": "url", "valueUri": "u"}]}
    for _ in range(500):
        value = {"name": "extension", "part": [value]}
    with pytest.raises(Refused) as caught:
        added(patient(), (), "extension", part=value["part"])
    assert caught.value.code == "too-long"
