"""Slices: of lists, of choices, of extensions, of slices. https://hl7.org/fhir/R4/profiling.html#slicing"""

from __future__ import annotations

from tests.unit.fhir.snapshots.profiles import CORE, MINE, Json, at, by_url, codes, profile, snap

BY_CODE: Json = by_url("pattern", "code")


def test_a_slice_starts_from_the_base_with_a_minimum_of_none() -> None:
    first = profile("Observation", at("Observation.component", min=1, mustSupport=True), name="first")
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE, min=2),
        at("Observation.component", "systolic", max="1"),
        base=MINE + "first",
    )
    found = snap(mine, first)
    sliced, systolic = found["Observation.component"], found["Observation.component:systolic"]
    assert (sliced["min"], sliced["slicing"]) == (2, BY_CODE)
    assert (systolic["min"], systolic["max"], systolic["mustSupport"]) == (0, "1", True)
    assert systolic["sliceName"] == "systolic"
    assert "slicing" not in systolic


def test_what_the_same_differential_says_of_all_is_not_copied_to_a_slice() -> None:
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component.interpretation", max="0"),
        at("Observation.component", "systolic"),
    )
    found = snap(mine)
    assert found["Observation.component.interpretation"]["max"] == "0"
    assert found["Observation.component:systolic.interpretation"]["max"] == "*"


def test_elements_without_ids_stand_below_the_slice_before_them() -> None:
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "systolic"),
        at("Observation.component.code", patternCodeableConcept={"text": "s"}),
        at("Observation.component", "diastolic"),
        at("Observation.component.code", patternCodeableConcept={"text": "d"}),
        at("Observation.component.code.text", min=1),
    )
    found = snap(mine)
    assert "patternCodeableConcept" not in found["Observation.component.code"]
    assert found["Observation.component:systolic.code"]["patternCodeableConcept"] == {"text": "s"}
    assert found["Observation.component:diastolic.code"]["patternCodeableConcept"] == {"text": "d"}
    assert found["Observation.component:diastolic.code.text"]["min"] == 1
    assert "Observation.component:systolic.code.text" not in found


def test_a_slice_is_left_with_its_path() -> None:
    mine = profile(
        "Observation",
        at("Observation.component.code.coding", slicing=by_url("value", "system")),
        at("Observation.component.code.coding", "loinc"),
        at("Observation.referenceRange.type.coding.system", min=1),
    )
    assert snap(mine)["Observation.referenceRange.type.coding.system"]["min"] == 1


def test_ids_place_elements_whose_slice_does_not_stand_before_them() -> None:
    mine = profile(
        "Observation",
        {"id": "Observation.component", "path": "Observation.component", "slicing": BY_CODE},
        {"id": "Observation.component:a.code", "path": "Observation.component.code", "mustSupport": True},
        {"id": "Observation.component:b.code", "path": "Observation.component.code", "mustSupport": True},
    )
    found = snap(mine)
    assert found["Observation.component:a.code"]["mustSupport"] is True
    assert "mustSupport" not in found["Observation.component.code"]
    assert found["Observation.component:b.code"]["path"] == "Observation.component.code"


def test_slices_stand_after_the_element_and_its_children_in_the_order_of_the_differential() -> None:
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "b"),
        at("Observation.component", "a"),
    )
    steps = [i for i in snap(mine) if i.count(".") == 1 and i.startswith("Observation.component")]
    assert steps == ["Observation.component", "Observation.component:b", "Observation.component:a"]


def test_a_slice_of_the_base_is_constrained_not_copied() -> None:
    first = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "a", min=1),
        at("Observation.component.code", patternCodeableConcept={"text": "a"}),
        name="first",
    )
    mine = profile(
        "Observation", at("Observation.component", "a", max="1", sliceIsConstraining=True), base=MINE + "first"
    )
    found = snap(mine, first)
    assert (found["Observation.component:a"]["min"], found["Observation.component:a"]["max"]) == (1, "1")
    assert found["Observation.component:a.code"]["patternCodeableConcept"] == {"text": "a"}


def test_a_slice_may_be_sliced_again() -> None:
    first = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "a", max="4"),
        at("Observation.component", "c"),
        name="first",
    )
    mine = profile(
        "Observation",
        at("Observation.component", "a", slicing=by_url("exists", "value")),
        at("Observation.component", "a/b", min=1),
        at("Observation.component.code", mustSupport=True),
        base=MINE + "first",
    )
    found = snap(mine, first)
    again = found["Observation.component:a/b"]
    assert (again["min"], again["max"], again["sliceName"]) == (1, "4", "a/b")
    assert found["Observation.component:a/b.code"]["mustSupport"] is True
    steps = [i for i in found if i.startswith("Observation.component") and i.count(".") == 1]
    assert [step.partition(":")[2] for step in steps] == ["", "a", "a/b", "c"]


def test_a_slice_of_a_new_slice_starts_from_that_slice() -> None:
    row = {"code": "Extension", "profile": [CORE + "auditevent-Instance"]}
    slicing = {"discriminator": [{"type": "value", "path": "url"}, {"type": "pattern", "path": "value.system"}]}
    mine = profile(
        "AuditEvent",
        at("AuditEvent.agent.extension", slicing=slicing | {"rules": "closed"}),
        at("AuditEvent.agent.extension", "other", type=[row], max="2", min=1),
        at("AuditEvent.agent.extension", "other/one", max="1"),
        at("AuditEvent.agent.extension.value[x].system", patternUri="http://example.org/one"),
    )
    found = snap(mine)
    outer, inner = found["AuditEvent.agent.extension:other"], found["AuditEvent.agent.extension:other/one"]
    assert outer["slicing"] == slicing | {"rules": "open"}
    assert (inner["min"], inner["max"], inner["type"]) == (0, "1", [row])
    assert "slicing" not in inner
    system = found["AuditEvent.agent.extension:other/one.value[x].system"]
    assert system["patternUri"] == "http://example.org/one"
    assert "AuditEvent.agent.extension:other.value[x].system" not in found


def test_slices_within_slices() -> None:
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "a"),
        at("Observation.component.code.coding", slicing=by_url("value", "system")),
        at("Observation.component.code.coding", "loinc", min=1),
        at("Observation.component.code.coding.system", fixedUri="http://loinc.org"),
    )
    found = snap(mine)
    assert found["Observation.component:a.code.coding:loinc"]["min"] == 1
    assert found["Observation.component:a.code.coding:loinc.system"]["fixedUri"] == "http://loinc.org"
    assert "Observation.component.code.coding" not in found


def test_extensions_are_sliced_by_their_url_without_a_word() -> None:
    row = {"code": "Extension", "profile": [CORE + "patient-animal"]}
    found = snap(profile("Patient", at("Patient.extension", "animal", type=[row], max="1")))
    assert found["Patient.extension"]["slicing"]["discriminator"] == [{"type": "value", "path": "url"}]
    assert found["Patient.extension:animal"]["type"] == [row]


def test_an_extension_is_gone_into_as_it_is_defined() -> None:
    mine = profile(
        "Patient",
        at("Patient.extension", "animal", type=[{"code": "Extension", "profile": [CORE + "patient-animal"]}]),
        {
            "id": "Patient.extension:animal.extension:breed.value[x]",
            "path": "Patient.extension.extension.value[x]",
            "binding": {"strength": "required", "valueSet": "http://example.org/ValueSet/breeds"},
        },
    )
    found = snap(mine)
    value = found["Patient.extension:animal.extension:breed.value[x]"]
    assert codes(value) == ["CodeableConcept"]
    assert value["binding"]["valueSet"] == "http://example.org/ValueSet/breeds"
    assert found["Patient.extension:animal.extension:species"]["min"] == 1
    assert found["Patient.extension:animal.url"]["fixedUri"] == CORE + "patient-animal"


def test_a_type_in_a_name_is_the_slice_of_that_type() -> None:
    found = snap(profile("Observation", at("Observation.valueQuantity.unit", min=1)))
    choice, quantity = found["Observation.value[x]"], found["Observation.value[x]:valueQuantity"]
    assert (choice["slicing"]["rules"], len(choice["type"])) == ("open", 11)
    assert choice["slicing"]["discriminator"] == [{"type": "type", "path": "$this"}]
    assert (codes(quantity), quantity["path"], quantity["sliceName"]) == (
        ["Quantity"],
        "Observation.value[x]",
        "valueQuantity",
    )
    assert found["Observation.value[x]:valueQuantity.unit"]["min"] == 1


def test_a_type_that_must_be_there_is_the_only_one() -> None:
    found = snap(profile("Observation", at("Observation.valueQuantity", min=1)))
    choice = found["Observation.value[x]"]
    assert (choice["min"], codes(choice), choice["slicing"]["rules"]) == (1, ["Quantity"], "closed")


def test_a_choice_that_the_base_left_open_stays_open() -> None:
    first = profile("Observation", at("Observation.valueQuantity"), name="first")
    found = snap(profile("Observation", at("Observation.valueQuantity", min=1), base=MINE + "first"), first)
    assert found["Observation.value[x]:valueQuantity"]["min"] == 1
    assert found["Observation.value[x]"]["slicing"]["rules"] == "open"


def test_two_types_in_names_are_two_slices() -> None:
    found = snap(profile("Observation", at("Observation.valueQuantity"), at("Observation.valueString", maxLength=9)))
    assert codes(found["Observation.value[x]:valueQuantity"]) == ["Quantity"]
    assert found["Observation.value[x]:valueString"]["maxLength"] == 9


def test_an_extension_has_the_types_that_are_named() -> None:
    found = snap(profile("Extension", at("Extension.valueCode"), at("Extension.valueString")))
    assert codes(found["Extension.value[x]"]) == ["code", "string"]
    assert found["Extension.value[x]"]["slicing"]["rules"] == "closed"


def test_an_inner_extension_has_the_type_that_is_named() -> None:
    mine = profile(
        "Extension",
        at("Extension.extension", slicing=by_url()),
        at("Extension.extension", "a"),
        at("Extension.extension.valueString", maxLength=9),
    )
    found = snap(mine)
    assert codes(found["Extension.extension:a.value[x]"]) == ["string"]
    assert found["Extension.extension:a.value[x]:valueString"]["maxLength"] == 9


def test_a_type_in_a_name_is_the_element_where_no_other_is_left() -> None:
    mine = profile(
        "Observation",
        at("Observation.value[x]", type=[{"code": "Quantity"}]),
        at("Observation.valueQuantity.unit", min=1),
    )
    assert snap(mine)["Observation.value[x].unit"]["min"] == 1


def test_below_a_slice_a_type_in_a_name_narrows_the_element() -> None:
    mine = profile(
        "Observation",
        at("Observation.component", slicing=BY_CODE),
        at("Observation.component", "a"),
        at("Observation.component.valueQuantity.unit", min=1),
        at("Observation.component", "b"),
        at("Observation.component.valueQuantity"),
        at("Observation.component.valueString"),
    )
    found = snap(mine)
    assert codes(found["Observation.component:a.value[x]"]) == ["Quantity"]
    assert found["Observation.component:a.value[x].unit"]["min"] == 1
    assert len(found["Observation.component:b.value[x]"]["type"]) == 11
    assert codes(found["Observation.component:b.value[x]:valueString"]) == ["string"]


def test_a_slice_of_a_choice_may_have_its_type_in_its_name() -> None:
    found = snap(profile("Observation", at("Observation.value[x]", "valueQuantity", mustSupport=True)))
    assert codes(found["Observation.value[x]:valueQuantity"]) == ["Quantity"]


def test_a_slice_of_a_type_known_to_the_base_is_found_by_the_type() -> None:
    first = profile(
        "Observation",
        at("Observation.value[x]", slicing=by_url("type", "$this")),
        at("Observation.value[x]", "amount", type=[{"code": "Quantity"}]),
        name="first",
    )
    mine = profile("Observation", at("Observation.valueQuantity", mustSupport=True), base=MINE + "first")
    found = snap(mine, first)
    assert found["Observation.value[x]:amount"]["mustSupport"] is True
    assert "Observation.value[x]:valueQuantity" not in found
