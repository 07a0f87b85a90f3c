"""An expansion as a resource: what is left out, what comes along, what is said about where it is from."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import encode
from terminology.composing import Composer
from terminology.expanding import expand
from terminology.failures import TooMany
from terminology.languages import Languages
from terminology.rows import Wish
from terminology.sources import Memory, Sources
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

PROPERTY = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
OWL = {
    **concept("owl", food="mice"),
    "definition": "A bird of the night",
    "designation": [
        {"language": "de", "value": "Eule"},
        {"language": "fr", "use": {"system": "http://use.org", "code": "short"}, "value": "Hibou"},
    ],
}
NIGHT = animals(language="en", concept=[OWL, concept("group", concept("stone", status="retired"), notSelectable=True)])
ALL = value_set("x", of())


async def expansion(wish: Wish, *shelf: Json, languages: str = "", supplements: tuple[str, ...] = ()) -> Json:
    sources = Sources(Shelf(*(shelf or (NIGHT, ALL))), Memory(), supplements=supplements)
    found = await Composer(sources).named(SET + "x")
    return await expand(found, wish, Languages.parse(languages) if languages else Languages(), [])


def codes(found: Json) -> str:
    return " ".join(row["code"] for row in found.get("contains", ()))


def used(found: Json) -> list[tuple[str, Any]]:
    return [(row["name"], next(v for k, v in row.items() if k != "name")) for row in found["parameter"]]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(is_flat=True), "owl group stone"),
        (Wish(is_flat=True, active_only=True), "owl group"),
        (Wish(is_flat=True, for_ui=True), "owl stone"),
        (Wish(is_flat=True, without_systems=(ANIMALS,)), ""),
        (Wish(filter="eul"), "owl"),
        (Wish(filter="hib OWL"), "owl"),
        (Wish(filter="hib stone"), ""),
        (Wish(offset=1), "group stone"),
        (Wish(count=2), "owl group"),
        (Wish(count=1, offset=5), ""),
    ],
)
async def test_codes_are_left_out_as_asked(wish: Wish, expected: str) -> None:
    assert codes(await expansion(wish)) == expected


async def test_codes_are_nested_where_all_of_one_system_is_shown() -> None:
    found = await expansion(Wish())
    assert (codes(found), codes(found["contains"][1])) == ("owl group", "stone")
    assert found["contains"][1]["abstract"] is True
    assert found["contains"][1]["contains"][0]["inactive"] is True
    active = await expansion(Wish(for_ui=True))
    assert codes(active) == "owl stone"


@pytest.mark.parametrize("count", [24, 25, 26, 1000])
async def test_codes_that_stand_too_deep_are_not_nested(count: int) -> None:
    chain = animals(concept=[concept(f"c{i}", **({"parent": f"c{i - 1}"} if i else {})) for i in range(count)])
    found = await expansion(Wish(), chain, ALL)
    assert len(found["contains"]) == (1 if count <= 25 else count)
    assert encode(found)


async def test_codes_that_stand_in_a_circle_are_not_nested() -> None:
    circle = animals(
        concept=[concept("a"), concept("b", parent="d"), concept("c", parent="b"), concept("d", parent="c")]
    )
    found = await expansion(Wish(), circle, ALL)
    assert codes(found) == "a b c d"
    assert all("contains" not in row for row in found["contains"])


@pytest.mark.parametrize(
    ("languages", "display", "others"),
    [
        ("", "Owl", ["Eule", "Hibou"]),
        ("de", "Eule", ["Owl", "Hibou"]),
        ("es, de;q=0.5", "Eule", ["Owl", "Hibou"]),
        ("es", "Owl", ["Eule", "Hibou"]),
        ("es, *;q=0", None, ["Owl", "Eule", "Hibou"]),
    ],
)
async def test_names_are_in_the_language_asked_for(languages: str, display: str | None, others: list[str]) -> None:
    row = (await expansion(Wish(with_designations=True), languages=languages))["contains"][0]
    assert row.get("display") == display
    assert [d["value"] for d in row["designation"]] == others


@pytest.mark.parametrize(
    ("wanted", "expected"), [("fr", ["Hibou"]), ("http://use.org|short", ["Hibou"]), ("urn:ietf:bcp:47|de", ["Eule"])]
)
async def test_designations_are_those_asked_for(wanted: str, expected: list[str]) -> None:
    row = (await expansion(Wish(with_designations=True, designations=(wanted,))))["contains"][0]
    assert [d["value"] for d in row["designation"]] == expected


async def test_properties_come_as_the_extensions_that_stand_for_them() -> None:
    found = await expansion(Wish(is_flat=True, properties=("food", "definition")))
    owl, stone = found["contains"][0], found["contains"][2]
    parts = [[part.get("valueCode", part.get("valueString")) for part in e["extension"]] for e in owl["extension"]]
    assert parts == [["definition", "A bird of the night"], ["food", "mice"]]
    assert stone["extension"] == [
        {
            "url": PROPERTY,
            "extension": [{"url": "code", "valueCode": "status"}, {"url": "value", "valueCode": "retired"}],
        }
    ]
    declared = [e["extension"][0]["valueCode"] for e in found["extension"]]
    assert sorted(declared) == ["definition", "food", "status"]


async def test_it_says_what_it_was_made_from_and_what_to_mind() -> None:
    inner = value_set("inner", filtered("concept", "is-a", "bird"), version="3", experimental=True)
    outer = value_set("x", {"valueSet": [SET + "inner"]}, extension=[{"url": STATUS, "valueCode": "withdrawn"}])
    found = await expansion(Wish(), animals(status="draft"), inner, outer)
    assert used(found) == [
        ("used-codesystem", f"{ANIMALS}|2"),
        ("warning-draft", f"{ANIMALS}|2"),
        ("warning-withdrawn", f"{SET}x"),
        ("used-valueset", f"{SET}inner|3"),
        ("warning-experimental", f"{SET}inner|3"),
    ]


async def test_what_is_known_in_part_is_said_to_be_open() -> None:
    found = await expansion(Wish(), animals(content="fragment"), ALL)
    assert ("used-fragment", f"{ANIMALS}|2") in used(found)
    assert found["extension"][0] == {
        "url": "http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
        "valueBoolean": True,
    }


async def test_a_supplement_adds_names_and_is_named() -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/es",
        "version": "1",
        "content": "supplement",
        "supplements": ANIMALS,
        "concept": [{"code": "owl", "designation": [{"language": "es", "value": "Búho"}]}, {"code": "unicorn"}],
    }
    found = await expansion(Wish(), NIGHT, supplement, ALL, languages="es", supplements=("http://example.org/es",))
    assert found["contains"][0]["display"] == "Búho"
    assert ("used-supplement", "http://example.org/es|1") in used(found)
    assert (await expansion(Wish(), NIGHT, supplement, ALL, languages="es"))["contains"][0]["display"] == "Owl"


async def test_too_many_codes_are_refused_unless_pages_are_asked_for() -> None:
    many = animals(concept=[concept(f"c{i}") for i in range(1_001)])
    with pytest.raises(TooMany, match="more than 1000 codes"):
        await expansion(Wish(), many, ALL)
    page = await expansion(Wish(count=1_001), many, ALL)
    assert (len(page["contains"]), page["total"], page["offset"]) == (1_001, 1_001, 0)
    with pytest.raises(TooMany, match="more than 10000 codes"):
        await expansion(Wish(count=10_001), many, ALL)
