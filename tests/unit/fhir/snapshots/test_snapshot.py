"""What a differential makes of its base. https://hl7.org/fhir/R4/profiling.html#snapshot"""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_server.fhir.definitions.profiles import core_structure
from fhir_server.fhir.snapshots import snapshot
from tests.unit.fhir.snapshots.profiles import CORE, MINE, Json, at, by_url, codes, profile, snap


def test_a_profile_that_says_nothing_is_its_base() -> None:
    base = core_structure(CORE + "Patient")
    assert base is not None
    assert snapshot(profile("Patient"), lambda _: None) == base["snapshot"]["element"]


def test_a_type_has_the_snapshot_it_is_published_with() -> None:
    base = core_structure(CORE + "Patient")
    assert base is not None
    assert snapshot(base, lambda _: None) == base["snapshot"]["element"]


def test_what_is_said_stands_and_the_rest_is_inherited() -> None:
    found = snap(profile("Patient", at("Patient.gender", min=1, mustSupport=True)))
    gender = found["Patient.gender"]
    assert (gender["min"], gender["max"], gender["mustSupport"], codes(gender)) == (1, "1", True, ["code"])
    assert gender["binding"]["valueSet"] == "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"
    assert gender["base"] == {"path": "Patient.gender", "min": 0, "max": "1"}


def test_the_base_is_left_as_it_was() -> None:
    before = json.dumps(core_structure(CORE + "Patient"))
    snap(profile("Patient", at("Patient.name", min=1), at("Patient.name.given", min=1, fixedString="Ada")))
    assert json.dumps(core_structure(CORE + "Patient")) == before


def test_the_order_is_that_of_the_base() -> None:
    found = list(snap(profile("Patient", at("Patient.name.family", min=1), at("Patient.active", min=1))))
    assert found.index("Patient.active") < found.index("Patient.name") < found.index("Patient.name.family")
    assert found[found.index("Patient.name") + 1] == "Patient.name.id"
    assert found[found.index("Patient.name.period") + 1] == "Patient.telecom"


def test_an_element_of_a_data_type_brings_its_siblings() -> None:
    found = snap(profile("Patient", at("Patient.name.given", max="2")))
    assert found["Patient.name.given"]["max"] == "2"
    assert [i for i in found if i.startswith("Patient.name.")] == [
        f"Patient.name.{name}"
        for name in ("id", "extension", "use", "text", "family", "given", "prefix", "suffix", "period")
    ]
    assert found["Patient.name.given"]["base"]["path"] == "HumanName.given"


def test_data_types_are_gone_into_as_deep_as_needed() -> None:
    found = snap(
        profile("Observation", at("Observation.code.coding.system", min=1), at("Observation.code.text", max="0"))
    )
    assert found["Observation.code.coding.system"]["min"] == 1
    assert found["Observation.code.text"]["max"] == "0"
    assert "Observation.code.coding.display" in found


def test_a_choice_is_gone_into_once_its_type_is_said() -> None:
    found = snap(
        profile(
            "Observation",
            at("Observation.value[x]", type=[{"code": "CodeableConcept"}]),
            at("Observation.value[x].coding", min=1),
        )
    )
    assert found["Observation.value[x].coding"]["min"] == 1
    assert "slicing" not in found["Observation.value[x]"]


def test_an_extension_of_a_choice_needs_no_type() -> None:
    found = snap(profile("Observation", at("Observation.value[x].extension", max="0")))
    assert found["Observation.value[x].extension"]["max"] == "0"


def test_constraints_and_conditions_add_up() -> None:
    rule = {"key": "my-1", "severity": "error", "human": "One.", "expression": "name.family.exists()"}
    changes = (
        at("Patient.contact", constraint=[rule]),
        at("Patient.contact.organization", condition=["pat-1", "my-1"]),
    )
    found = snap(profile("Patient", *changes))
    contact = found["Patient.contact"]
    assert [row["key"] for row in contact["constraint"]] == ["ele-1", "pat-1", "my-1"]
    assert contact["constraint"][-1]["source"] == MINE + "mine"
    assert found["Patient.contact.organization"]["condition"] == ["pat-1", "my-1"]
    again = snap(profile("Patient", at("Patient.contact.organization", condition=["my-1"])))
    assert again["Patient.contact.organization"]["condition"] == ["pat-1", "my-1"]


def test_a_constraint_with_a_known_key_stands_for_the_old_one() -> None:
    rule = {"key": "pat-1", "severity": "warning", "human": "One.", "expression": "name.exists()"}
    found = snap(profile("Patient", at("Patient.contact", constraint=[rule])))
    assert [row["severity"] for row in found["Patient.contact"]["constraint"]] == ["error", "warning"]


def test_a_base_may_be_a_profile_itself() -> None:
    first = profile("Patient", at("Patient.name", min=1), name="first")
    second = profile("Patient", at("Patient.name", max="1"), name="second", base=MINE + "first")
    name = snap(second, first)["Patient.name"]
    assert (name["min"], name["max"]) == (1, "1")


def test_a_published_snapshot_of_the_base_is_believed() -> None:
    first = profile("Patient", at("Patient.name", min=1), name="first")
    first["snapshot"] = {"element": [{"path": "Patient", "min": 0, "max": "*"}, {"path": "Patient.active", "max": "1"}]}
    found = snap(profile("Patient", base=MINE + "first"), first)
    assert list(found) == ["Patient", "Patient.active"]
    assert found["Patient.active"]["base"] == {"path": "Patient.active", "min": 0, "max": "1"}


def test_its_own_snapshot_is_not_looked_at() -> None:
    mine = profile("Patient", at("Patient.name", min=1)) | {"snapshot": {"element": [{"path": "Patient"}]}}
    assert snap(mine)["Patient.name"]["min"] == 1


def test_must_support_and_modifier_are_never_taken_back() -> None:
    first = profile("Patient", at("Patient.name", mustSupport=True), name="first")
    mine = profile("Patient", at("Patient.name", mustSupport=False), at("Patient.active", isModifier=False))
    found = snap(mine | {"baseDefinition": MINE + "first"}, first)
    assert found["Patient.name"]["mustSupport"] is True
    assert found["Patient.active"]["isModifier"] is True


def test_a_pattern_gives_way_to_what_is_fixed() -> None:
    first = profile("Observation", at("Observation.code", patternCodeableConcept={"text": "a"}), name="first")
    mine = profile("Observation", at("Observation.code", fixedCodeableConcept={"text": "a"}), base=MINE + "first")
    code = snap(mine, first)["Observation.code"]
    assert code["fixedCodeableConcept"] == {"text": "a"}
    assert "patternCodeableConcept" not in code


def test_a_binding_keeps_the_value_set_it_does_not_name() -> None:
    found = snap(profile("Patient", at("Patient.maritalStatus", binding={"strength": "required"})))
    assert found["Patient.maritalStatus"]["binding"] == {
        "strength": "required",
        "valueSet": "http://hl7.org/fhir/ValueSet/marital-status",
    }


def test_the_largest_value_set_of_a_base_still_holds() -> None:
    url = CORE + "elementdefinition-maxValueSet"
    largest = {"url": url, "valueCanonical": "http://example.org/ValueSet/all"}
    bound: Json = {"strength": "preferred", "valueSet": "http://example.org/ValueSet/some", "extension": [largest]}
    first = profile("Patient", at("Patient.maritalStatus", binding=bound), name="first")
    mine = profile("Patient", at("Patient.maritalStatus", binding={"strength": "extensible"}), base=MINE + "first")
    assert snap(mine, first)["Patient.maritalStatus"]["binding"] == bound | {"strength": "extensible"}


def test_what_has_no_codes_is_bound_to_nothing() -> None:
    bound = {"strength": "required", "valueSet": "http://example.org/ValueSet/a"}
    assert "binding" not in snap(profile("Patient", at("Patient.birthDate", binding=bound)))["Patient.birthDate"]


def test_a_resource_of_any_kind_may_be_narrowed_to_one() -> None:
    found = snap(profile("Bundle", at("Bundle.entry.resource", type=[{"code": "Patient"}])))
    assert codes(found["Bundle.entry.resource"]) == ["Patient"]


def test_the_url_of_an_extension_may_be_called_a_uri() -> None:
    found = snap(profile("Extension", at("Extension.url", type=[{"code": "uri"}], fixedUri="http://example.org/e")))
    assert found["Extension.url"]["fixedUri"] == "http://example.org/e"


def test_a_type_said_again_keeps_what_the_base_says_of_it() -> None:
    rows = snap(profile("Patient", at("Patient.id", type=[{"code": "http://hl7.org/fhirpath/System.String"}])))
    assert rows["Patient.id"]["type"] == snap(profile("Patient"))["Patient.id"]["type"]
    assert "extension" in rows["Patient.id"]["type"][0]


def test_extensions_of_an_element_add_up_by_their_url() -> None:
    one, two = ({"url": "http://example.org/a", "valueCode": text} for text in ("1", "2"))
    other = {"url": "http://example.org/b", "valueCode": "1"}
    first = profile("Patient", at("Patient.name", extension=[one, other]), name="first")
    mine = profile("Patient", at("Patient.name", extension=[two]), base=MINE + "first")
    assert snap(mine, first)["Patient.name"]["extension"] == [other, two]


def test_mappings_add_up() -> None:
    one, two = ({"identity": text, "map": text} for text in ("a", "b"))
    first = profile("Patient", at("Patient.name", mapping=[one]), name="first")
    mine = profile("Patient", at("Patient.name", mapping=[two]), base=MINE + "first")
    assert snap(mine, first)["Patient.name"]["mapping"] == [one, two]


def test_a_quantity_of_a_kind_may_be_written_as_a_quantity() -> None:
    mine = profile("Condition", at("Condition.onsetAge", patternQuantity={"code": "a"}), at("Condition.abatementAge"))
    changed = mine["differential"]["element"]
    assert snap(mine)["Condition.onset[x]:onsetAge"]["patternQuantity"] == {"code": "a"}
    changed[0] = at("Condition.onsetAge", patternAge={"code": "a"})
    assert snap(mine)["Condition.onset[x]:onsetAge"]["patternAge"] == {"code": "a"}


def test_below_a_content_reference_is_what_it_names() -> None:
    found = snap(profile("Observation", at("Observation.component.referenceRange.low", min=1)))
    assert found["Observation.component.referenceRange.low"]["min"] == 1
    assert found["Observation.referenceRange.low"]["min"] == 0
    reference = found["Observation.component.referenceRange"]
    assert "contentReference" not in reference
    assert codes(reference) == ["BackboneElement"]
    assert "Observation.component.referenceRange.age" in found


def test_a_content_reference_with_a_structure_is_not_about_the_profile() -> None:
    first = profile("Observation", at("Observation.referenceRange.low", min=1), name="first")
    elements: list[Json] = json.loads(json.dumps(snapshot(first, lambda _: None)))
    mine = profile("Observation", at("Observation.component.referenceRange.text", min=1), base=MINE + "first")
    for canonical, least in (("", 1), (CORE + "Observation", 0)):
        for element in elements:
            if "contentReference" in element:
                element["contentReference"] = canonical + "#Observation.referenceRange"
        found = snap(mine, first | {"snapshot": {"element": elements}})
        assert found["Observation.component.referenceRange.low"]["min"] == least


def test_a_profile_of_a_type_is_gone_into() -> None:
    name = profile("HumanName", at("HumanName.family", min=1, max="1"), name="name")
    mine = profile(
        "Patient",
        at("Patient.name", type=[{"code": "HumanName", "profile": [MINE + "name"]}]),
        at("Patient.name.given", min=1),
    )
    found = snap(mine, name)
    assert (found["Patient.name.family"]["min"], found["Patient.name.given"]["min"]) == (1, 1)


def test_what_resolve_raises_passes_through() -> None:
    def resolve(canonical: str) -> Json | None:
        raise LookupError(canonical)

    with pytest.raises(LookupError, match="first"):
        snapshot(profile("Patient", base=MINE + "first"), resolve)


def test_fhir_itself_is_not_asked_for() -> None:
    asked: list[str] = []

    def resolve(canonical: str) -> Json | None:
        asked.append(canonical)
        return None

    mine = profile("Observation", at("Observation.code.coding.system", min=1), base=CORE + "vitalsigns|4.0.1")
    assert snapshot(mine, resolve)
    assert asked == []


def test_a_name_renamed_by_its_only_type_is_found_as_a_choice() -> None:
    first = profile("Observation", name="first")
    element: dict[str, Any] = {"path": "Observation.valueQuantity", "max": "1", "type": [{"code": "Quantity"}]}
    first["snapshot"] = {"element": [{"path": "Observation"}, element]}
    found = snap(profile("Observation", at("Observation.value[x]", min=1), base=MINE + "first"), first)
    assert found["Observation.valueQuantity"]["min"] == 1


def test_slicing_declared_by_a_base_is_inherited() -> None:
    first = profile("Patient", at("Patient.identifier", slicing=by_url("value", "system")), name="first")
    mine = profile("Patient", at("Patient.identifier", "mrn", min=1), base=MINE + "first")
    assert snap(mine, first)["Patient.identifier:mrn"]["min"] == 1
