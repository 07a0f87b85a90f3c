"""The structures of FHIR itself. https://hl7.org/fhir/R4/profilelist.html"""

from __future__ import annotations

import pytest

from fhir_server.fhir.definitions.profiles import core_structure, core_structure_urls
from fhir_server.fhir.snapshots import snapshot
from tests.unit.fhir.snapshots.profiles import CORE, codes, snap


def test_a_type_comes_with_all_its_elements() -> None:
    found = core_structure(CORE + "Range")
    assert found is not None
    assert (found["kind"], found["type"], found["baseDefinition"]) == ("complex-type", "Range", CORE + "Element")
    elements = {element["id"]: element for element in found["snapshot"]["element"]}
    assert list(elements) == ["Range", "Range.id", "Range.extension", "Range.low", "Range.high"]
    assert elements["Range.low"]["type"] == [{"code": "Quantity", "profile": [CORE + "SimpleQuantity"]}]
    assert [row["key"] for row in elements["Range"]["constraint"]] == ["ele-1", "rng-2"]


def test_there_is_no_prose() -> None:
    for url in (CORE + "Patient", CORE + "bp"):
        found = core_structure(url)
        assert found is not None
        view = found.get("snapshot") or found["differential"]
        for element in view["element"]:
            assert not element.keys() & {"short", "definition", "comment", "requirements", "mapping", "alias"}


@pytest.mark.parametrize("name", ["Patient", "bp", "patient-animal"])
def test_a_version_may_be_named(name: str) -> None:
    assert core_structure(f"{CORE}{name}|4.0.1") == core_structure(CORE + name) is not None
    assert core_structure(f"{CORE}{name}|4.3.0") is None


def test_what_is_not_of_fhir_is_unknown() -> None:
    assert core_structure("http://example.org/StructureDefinition/Patient") is None


def test_every_one_has_a_snapshot() -> None:
    urls = core_structure_urls()
    assert len(urls) == 650
    assert list(urls) == sorted(urls)
    for url in urls:
        structure = core_structure(url)
        assert structure is not None
        elements = snapshot(structure, lambda _: None)
        assert elements[0]["path"] == structure["type"]
        assert all("base" in element and "max" in element and "min" in element for element in elements)


def test_the_vital_signs_forbid_other_types_than_a_quantity() -> None:
    structure = core_structure(CORE + "bodyweight")
    assert structure is not None
    found = snap(structure)
    assert codes(found["Observation.value[x]"]) == ["Quantity"]
    assert found["Observation.value[x]"]["slicing"]["rules"] == "closed"
    assert found["Observation.value[x]:valueQuantity.system"]["fixedUri"] == "http://unitsofmeasure.org"


def test_an_extension_says_where_it_may_stand() -> None:
    structure = core_structure(CORE + "patient-animal")
    assert structure is not None
    assert structure["context"] == [{"type": "element", "expression": "Patient"}]
