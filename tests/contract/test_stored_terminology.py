"""Value sets over stored code systems answer as those over the same code systems as resources."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.api import Coding, Failure, NotSupported, TooCostly
from fhir_server.api.concepts import Concepts
from fhir_server.store.concepts import MongoConceptStore
from fhir_server.store.mongo import MongoStore, connect
from terminology import gathering, spans, stored
from terminology.composing import Composer
from terminology.expanding import expand
from terminology.failures import TooHard
from terminology.languages import Languages
from terminology.rows import Wish
from terminology.service import LocalTerminology
from terminology.sources import Memory, Sources
from tests.conformance.terminology.moving import move
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

pytestmark = pytest.mark.engine

CODES = ["animal", "bird", "duck", "owl", "fish", "eel", "stone", "unknown", "DUCK"]
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"


class Stock(Shelf):
    """A library with stored code systems beside its resources."""

    def __init__(self, concepts: Concepts, *resources: Json) -> None:
        super().__init__(*resources)
        self.concepts = concepts


@pytest.fixture
async def concepts(engine_url: str) -> AsyncIterator[Concepts]:
    driver = await connect(engine_url)
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    yield MongoConceptStore(driver).of(await store.create_tenant("one", os.urandom(32)))
    await store.drop_everything()
    await store.close()


def with_filters(*rows: tuple[str, str, str]) -> Json:
    return {"system": ANIMALS, "filter": [{"property": p, "op": o, "value": v} for p, o, v in rows]}


OTHER = value_set("other", filtered("concept", "is-a", "bird"))
LISTED = value_set("listed", of(ANIMALS, "duck", "stone", "unknown"))
SETS: dict[str, Json] = {
    "all": value_set("x", of()),
    "active": value_set("x", of(), compose={"inactive": False}),
    "is-a": value_set("x", filtered("concept", "is-a", "bird")),
    "is-a nothing": value_set("x", filtered("concept", "is-a", "unknown")),
    "descendent-of": value_set("x", filtered("concept", "descendent-of", "animal")),
    "is-not-a": value_set("x", filtered("concept", "is-not-a", "bird")),
    "generalizes": value_set("x", filtered("concept", "generalizes", "eel")),
    "child-of": value_set("x", filtered("concept", "child-of", "animal")),
    "leaf": value_set("x", filtered("concept", "descendent-leaf", "animal")),
    "equal": value_set("x", filtered("food", "=", "mice")),
    "in": value_set("x", filtered("food", "in", "mice, worms")),
    "not-in": value_set("x", filtered("food", "not-in", "mice,worms")),
    "exists": value_set("x", filtered("food", "exists", "true")),
    "exists not": value_set("x", filtered("food", "exists", "false")),
    "boolean": value_set("x", filtered("flies", "=", "true")),
    "regex": value_set("x", filtered("code", "regex", ".*[ie].*")),
    "code": value_set("x", filtered("code", "=", "owl")),
    "codes": value_set("x", filtered("concept", "in", "owl,duck,unknown")),
    "ancestor": value_set("x", filtered("ancestor", "=", "animal")),
    "two filters": value_set("x", with_filters(("concept", "is-a", "animal"), ("flies", "=", "false"))),
    "list": value_set("x", of(ANIMALS, "owl", "unknown", "animal")),
    "two includes": value_set("x", filtered("concept", "is-a", "fish"), filtered("concept", "is-a", "animal")),
    "excluded": value_set("x", of(), exclude=[filtered("concept", "is-a", "bird")]),
    "excluded list": value_set("x", of(), exclude=[of(ANIMALS, "owl", "stone")]),
    "excluded set": value_set("x", of(), exclude=[{"valueSet": [SET + "other"]}]),
    "imported": value_set("x", {"valueSet": [SET + "other"]}),
    "intersected": value_set("x", {**filtered("flies", "=", "true"), "valueSet": [SET + "other"]}),
    "intersected list": value_set("x", {**of(), "valueSet": [SET + "listed"]}),
    "two sets": value_set("x", {"valueSet": [SET + "listed", SET + "other"]}),
    "with another system": value_set("x", of(ANIMALS), of("http://hl7.org/fhir/administrative-gender")),
}


async def expansion(library: Shelf, wish: Wish, name: str = SET + "x") -> Any:
    """Return an expansion, or the failure that there is instead."""
    try:
        found = await Composer(Sources(library, Memory())).named(name)
        return await expand(found, wish, Languages(), [])
    except Failure as failure:
        return failure.issues


WISHES = {
    "plain": Wish(),
    "flat": Wish(is_flat=True, properties=("food",), with_designations=True),
    "page": Wish(offset=1, count=2),
    "late": Wish(offset=50, count=2),
    "active": Wish(active_only=True),
    "for users": Wish(for_ui=True),
    "named": Wish(filter="du"),
    "without": Wish(without_systems=(ANIMALS,)),
}


@pytest.mark.parametrize("name", SETS)
async def test_expansions_are_the_same(name: str, concepts: Concepts) -> None:
    await move(concepts, animals())
    others = [SETS[name], OTHER, LISTED]
    for kind, wish in WISHES.items():
        wanted = await expansion(Shelf(animals(), *others), wish)
        assert await expansion(Stock(concepts, *others), wish) == wanted, kind


@pytest.mark.parametrize("name", SETS)
async def test_memberships_are_the_same(name: str, concepts: Concepts) -> None:
    await move(concepts, animals())
    others = [SETS[name], OTHER, LISTED]
    resources, stock = Shelf(animals(), *others), Stock(concepts, *others)
    service = LocalTerminology()
    held = 0
    for code in CODES:
        wanted = await service.contains(resources, SET + "x", ANIMALS, code)
        held += wanted
        assert await service.contains(stock, SET + "x", ANIMALS, code) is wanted, code
        coding = Coding(ANIMALS, code, display="Owl")
        assert await service.check(stock, coding, SET + "x") == await service.check(resources, coding, SET + "x")
    assert bool(held) is (name != "is-a nothing")


async def test_subsumption_is_the_same(concepts: Concepts) -> None:
    await move(concepts, animals())
    service, resources, stock = LocalTerminology(), Shelf(animals()), Stock(concepts)
    for code in ("animal", "bird", "eel", "stone"):
        assert await service.below(stock, ANIMALS, code) == await service.below(resources, ANIMALS, code)
        assert await service.above(stock, ANIMALS, code) == await service.above(resources, ANIMALS, code)


async def test_codes_in_any_case_are_the_same(concepts: Concepts) -> None:
    system = animals(caseSensitive=False)
    await move(concepts, system)
    every = value_set("x", filtered("concept", "is-a", "BIRD"))
    service, resources, stock = LocalTerminology(), Shelf(system, every), Stock(concepts, every)
    assert (await expansion(stock, Wish()))["total"] == 3
    assert await expansion(stock, Wish()) == await expansion(resources, Wish())
    for code in CODES:
        coding = Coding(ANIMALS, code)
        assert await service.check(stock, coding, SET + "x") == await service.check(resources, coding, SET + "x")


async def test_supplements_are_the_same(concepts: Concepts) -> None:
    await move(concepts, animals())
    row = {**concept("owl", food="berries"), "designation": [{"language": "de", "value": "Eule"}]}
    more = {
        "resourceType": "CodeSystem", "url": "http://example.org/more", "version": "1", "status": "active",
        "content": "supplement", "supplements": ANIMALS, "concept": [row],
    }  # fmt: skip
    wanted = value_set("x", filtered("food", "=", "berries"))
    made = []
    for library in (Shelf(animals(), more, wanted), Stock(concepts, more, wanted)):
        sources = Sources(library, Memory(), supplements=("http://example.org/more",))
        found = await Composer(sources).named(SET + "x")
        made.append(await expand(found, Wish(with_designations=True), Languages.parse("de"), []))
    assert made[0] == made[1]
    assert [(r["code"], r["display"]) for r in made[1]["contains"]] == [("owl", "Eule")]


async def test_versions_are_told_apart(concepts: Concepts) -> None:
    await move(concepts, animals())
    await move(concepts, animals(version="10", concept=[concept("swan")]))
    named = {version: value_set("x", of(ANIMALS, version=version)) for version in ("2", "10")}
    for version, total in (("2", 7), ("10", 1)):
        assert (await expansion(Stock(concepts, named[version]), Wish()))["total"] == total
    assert (await expansion(Stock(concepts, value_set("x", of())), Wish()))["total"] == 1
    said = await LocalTerminology().check(Stock(concepts), Coding(ANIMALS, "owl", "3"))
    assert said.holds is None
    assert "2" in said.text
    assert "10" in said.text


async def test_a_resource_without_content_gives_way_to_the_stored_system(concepts: Concepts) -> None:
    await move(concepts, animals())
    stub = animals(version="99", content="not-present", concept=[])
    found = await LocalTerminology().check(Stock(concepts, stub), Coding(ANIMALS, "owl"))
    assert found.holds is True


async def test_a_load_changes_the_answer_at_once(concepts: Concepts) -> None:
    await move(concepts, animals())
    service, stock = LocalTerminology(), Stock(concepts, value_set("x", filtered("concept", "is-a", "bird")))
    assert not await service.contains(stock, SET + "x", ANIMALS, "swan")
    assert await service.contains(stock, SET + "x", ANIMALS, "owl")
    await move(concepts, animals(concept=[concept("bird", concept("swan"))]))
    assert await service.contains(stock, SET + "x", ANIMALS, "swan")
    assert not await service.contains(stock, SET + "x", ANIMALS, "owl")


async def test_the_value_sets_that_loinc_describes(concepts: Concepts) -> None:
    part = concept("LP1-1", concept("LP2-2", concept("10-1")), concept("11-2"))
    answers = [concept("LA1-1", LIST="LL7-7"), concept("LA2-2", LIST="LL8-8")]
    loinc = {**animals(url=LOINC, concept=[part, *answers], property=[{"code": "LIST", "type": "code"}])}
    await move(concepts, loinc)
    stock, service = Stock(concepts), LocalTerminology()
    for url, wanted in (("vs", 6), ("vs/LL7-7", 1), ("vs/LP1-1", 3), ("vs/LP2-2", 1)):
        assert len((await service.expand(stock, f"{LOINC}/{url}")).concepts) == wanted, url


async def test_the_value_sets_that_snomed_describes(concepts: Concepts) -> None:
    edition = f"{SNOMED}/900000000000207008"
    member = concept("22", memberOf="723")
    sct = animals(url=SNOMED, version=f"{edition}/version/20260701", property=[{"code": "memberOf", "type": "code"}],
                  concept=[concept("11", member), concept("33")])  # fmt: skip
    await move(concepts, sct)
    stock, service = Stock(concepts), LocalTerminology()
    for base in (SNOMED, edition, f"{edition}/version/20260701"):
        for query, wanted in (("", "11 22 33"), ("=isa/11", "11 22"), ("=refset/723", "22"), ("=refset/1", "")):
            found = await service.expand(stock, f"{base}?fhir_vs{query}")
            assert " ".join(c.code for c in found.concepts) == wanted, (base, query)
    for query, why in (("ecl/<11", "ECL"), ("refset", "name one reference set")):
        with pytest.raises(NotSupported, match=why):
            await service.expand(stock, f"{SNOMED}?fhir_vs={query}")


async def test_texts_find_names_that_begin_so_nearest_first(concepts: Concepts) -> None:
    names = {"a": "Bone fracture of arm", "b": "Fracture", "c": "Fracture of bone", "d": "Infraction", "e": "Brüche"}
    rows = [{"code": code, "display": name} for code, name in names.items()]
    await move(concepts, animals(concept=rows))
    stock = Stock(concepts, value_set("x", of()))

    async def found(text: str) -> str:
        rows = (await expansion(stock, Wish(filter=text, count=10))).get("contains", [])
        return " ".join(row["code"] for row in rows)

    assert await found("fract") == "b c a"
    assert await found("FRACTURE bo") == "c a"
    assert await found("bruche") == "e"
    assert await found("raction") == ""


async def test_what_would_take_too_much_is_refused(concepts: Concepts, monkeypatch: pytest.MonkeyPatch) -> None:
    await move(concepts, animals(concept=[concept(f"c{n}") for n in range(40)]))
    stock = Stock(concepts, value_set("x", of(), of("http://hl7.org/fhir/administrative-gender")), value_set("y", of()))
    monkeypatch.setattr(stored, "MAX_READ", 20)
    with pytest.raises(TooCostly):
        await LocalTerminology().expand(stock, SET + "x")
    monkeypatch.setattr(gathering, "MAX_NAMED", 20)
    monkeypatch.setattr(gathering, "FEW", 10)
    found = await expansion(stock, Wish(filter="c"), SET + "y")
    assert [issue.code for issue in found] == ["too-costly"]
    found = await expansion(stock, Wish(filter="c", offset=3, count=2), SET + "y")
    assert ([row["code"] for row in found["contains"]], found.get("total")) == (["c3", "c4"], None)
    monkeypatch.setattr(spans, "portions", lambda whole, _: [spans.page(whole, o, 5) for o in range(0, 40, 5)])
    with pytest.raises(TooHard):
        await expansion(stock, Wish(filter="c", offset=30, count=2), SET + "y")
    assert (await expansion(stock, Wish(offset=30, count=5), SET + "y"))["total"] == 40
