"""$snapshot over records in memory."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Deleted, InvalidRequest, NotFound, Unprocessable
from operations.conftest import Calling, Records
from operations.snapshot import of_given, of_one

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
MINE = "http://example.org/StructureDefinition/"


def profile(name: str, *elements: Json, base: str = CORE + "Patient", **more: Any) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": MINE + name,
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": base,
        "differential": {"element": list(elements)},
        **more,
    }


def elements_of(structure: Json) -> dict[str, Json]:
    return {element["id"]: element for element in structure["snapshot"]["element"]}


NAMED = profile("named", {"path": "Patient.name", "min": 1})


async def test_a_definition_that_is_sent(calling: Calling) -> None:
    answer = await of_given(calling("StructureDefinition", definition=NAMED))
    assert answer["differential"] == NAMED["differential"]
    found = elements_of(answer)
    assert (found["Patient.name"]["min"], found["Patient.active"]["max"]) == (1, "1")
    assert found["Patient.name"]["definition"] == "What FHIR defines as Patient.name."


async def test_a_profile_of_fhir_by_its_url(calling: Calling) -> None:
    answer = await of_given(calling("StructureDefinition", url=CORE + "bp|4.0.1"))
    assert elements_of(answer)["Observation.component:SystolicBP"]["min"] == 1


async def test_a_type_of_fhir_has_its_own(calling: Calling) -> None:
    answer = await of_given(calling("StructureDefinition", url=CORE + "Patient"))
    assert answer["snapshot"]["element"][0]["id"] == "Patient"


async def test_a_stored_one_on_bases_of_the_tenant(calling: Calling, records: Records) -> None:
    records.add(profile("first", {"path": "Patient.name", "min": 1}))
    records.add(profile("second", {"path": "Patient.gender", "min": 1}, base=MINE + "first"))
    records.add(profile("third", {"path": "Patient.name", "max": "1"}, base=MINE + "second"))
    for answer in (
        await of_one(calling("StructureDefinition/third")),
        await of_given(calling("StructureDefinition", url=MINE + "third")),
    ):
        found = elements_of(answer)
        assert (found["Patient.name"]["min"], found["Patient.name"]["max"]) == (1, "1")
        assert found["Patient.gender"]["min"] == 1


async def test_the_version_that_is_named(calling: Calling, records: Records) -> None:
    records.add(profile("old", {"path": "Patient.name", "min": 1}, url=MINE + "first", version="1"))
    records.add(profile("new", {"path": "Patient.name", "min": 2}, url=MINE + "first", version="2"))
    for version, least in (("1", 1), ("2", 2)):
        answer = await of_given(calling("StructureDefinition", definition=profile("x", base=f"{MINE}first|{version}")))
        assert elements_of(answer)["Patient.name"]["min"] == least
    with pytest.raises(Unprocessable, match=r"first\|3 is not known"):
        await of_given(calling("StructureDefinition", definition=profile("x", base=MINE + "first|3")))


async def test_an_element_that_is_wrong_is_named(calling: Calling) -> None:
    wrong = profile("wrong", {"path": "Patient.name", "min": 1}, {"path": "Patient.gender", "max": "2"})
    with pytest.raises(Unprocessable) as caught:
        await of_given(calling("StructureDefinition", definition=wrong))
    (issue,) = caught.value.issues
    assert (issue.code, issue.expression) == ("business-rule", "StructureDefinition.differential.element[1]")
    assert "allows 1" in issue.diagnostics


async def test_a_base_that_is_wrong_is_named(calling: Calling, records: Records) -> None:
    records.add(profile("wrong", {"path": "Patient.name"}, {"path": "Patient.nickname"}))
    with pytest.raises(Unprocessable) as caught:
        await of_given(calling("StructureDefinition", definition=profile("mine", base=MINE + "wrong")))
    (issue,) = caught.value.issues
    assert issue.expression == "StructureDefinition"
    assert f"The profile {MINE}wrong, on which this one stands: Patient.nickname" in issue.diagnostics


async def test_what_is_malformed_is_refused(calling: Calling) -> None:
    differentials: list[Any] = [[], {"element": {}}, {"element": [{"path": 1}]}]
    for view in differentials:
        for broken in (profile("x", differential=view), profile("x", snapshot=view, derivation="specialization")):
            with pytest.raises(Unprocessable, match="malformed"):
                await of_given(calling("StructureDefinition", definition=broken))


async def test_more_structures_than_a_snapshot_may_need(calling: Calling, records: Records) -> None:
    rows = [{"code": "HumanName", "profile": [f"{MINE}name{i}"]} for i in range(101)]
    changes: list[Json] = []
    for index, row in enumerate(rows):
        name = profile(f"name{index}", base=CORE + "HumanName", type="HumanName")
        records.add(name)
        changes += [
            {"id": f"Patient.name:s{index}", "path": "Patient.name", "sliceName": f"s{index}", "type": [row]},
            {"id": f"Patient.name:s{index}.given", "path": "Patient.name.given"},
        ]
    slicing = {"discriminator": [{"type": "value", "path": "use"}], "rules": "open"}
    mine = profile("mine", {"path": "Patient.name", "slicing": slicing}, *changes)
    with pytest.raises(Unprocessable, match="more than 100"):
        await of_given(calling("StructureDefinition", definition=mine))


async def test_what_is_not_there(calling: Calling, records: Records) -> None:
    with pytest.raises(NotFound, match="is not known"):
        await of_given(calling("StructureDefinition", url=MINE + "nobody"))
    with pytest.raises(NotFound):
        await of_one(calling("StructureDefinition/nobody"))
    records.add(NAMED)
    records.delete("StructureDefinition/named")
    with pytest.raises(Deleted):
        await of_one(calling("StructureDefinition/named"))


async def test_one_of_definition_and_url(calling: Calling) -> None:
    for parameters in ({}, {"url": MINE, "definition": NAMED}):
        with pytest.raises(InvalidRequest):
            await of_given(calling("StructureDefinition", **parameters))
