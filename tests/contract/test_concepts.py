"""What api.concepts promises about stored code systems, on every database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from fhir_server.api.concepts import INACTIVE, Concepts, StoredConcept, StoredSystem, property_key
from fhir_server.api.errors import NotFound, TooCostly, Unavailable, Unprocessable
from fhir_server.api.tenant import Tenant
from fhir_server.store import concept_loading
from fhir_server.store.concept_blocks import BLOCK
from fhir_server.store.concepts import MongoConceptStore
from fhir_server.store.conformance import MongoConformance
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import MongoStore, connect

pytestmark = pytest.mark.engine

Json = dict[str, object]
URL = "http://example.org/trees"
HEAD = {"resourceType": "CodeSystem", "url": URL, "version": "1", "content": "complete", "concept": [{"code": "x"}]}


class Place:
    """Two tenants on one database."""

    def __init__(self, driver: Driver, one: Tenant, other: Tenant) -> None:
        self.driver, self.tenant = driver, one
        store = MongoConceptStore(driver)
        self.concepts, self.others = store.of(one), store.of(other)


@pytest.fixture
async def place(engine_url: str) -> AsyncIterator[Place]:
    driver = await connect(engine_url)
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    tenants = [await store.create_tenant(name, os.urandom(32)) for name in ("one", "other")]
    yield Place(driver, *tenants)
    await store.drop_everything()
    await store.close()


def concept(code: str, *parents: str, **more: object) -> StoredConcept:
    return StoredConcept(code, display=f"The {code}", parents=parents, **more)  # type: ignore[arg-type]


# plant > (tree > (oak, beech), bush > hazel), and hazel is a tree too; stone stands by itself
TREES = [
    concept("hazel", "bush", "tree"),
    concept("plant", abstract=True),
    concept("tree", "plant"),
    concept("stone", "unknown", inactive=True),
    concept("oak", "tree", properties=({"code": "height", "valueInteger": 40},)),
    concept("bush", "plant"),
    concept("beech", "tree", designations=({"language": "fr", "value": "Hêtre commun"},)),
]


async def load(
    concepts: Concepts, rows: Sequence[StoredConcept] = TREES, batch: int = 3, **head: object
) -> StoredSystem:
    """Load concepts in batches of a few, the last batch first."""
    system = await concepts.begin({**HEAD, **head}, by="me", now=5)
    starts = list(range(0, len(rows), batch))
    for start in reversed(starts):
        await concepts.add(system.key, start // batch, rows[start : start + batch])
    return await concepts.finish(system.key, now=7)


def codes(found: Sequence[StoredConcept]) -> str:
    return " ".join(c.code for c in found)


async def test_concepts_come_in_the_order_of_the_hierarchy(place: Place) -> None:
    system = await load(place.concepts)
    found = await place.concepts.read(system, [(0, 6)])
    assert codes(found) == "plant tree hazel oak beech bush stone"
    assert [c.ordinal for c in found] == list(range(7))
    assert codes(await place.concepts.read(system, [(4, 5), (0, 0)])) == "beech bush plant"


async def test_what_is_below_a_concept_is_spans(place: Place) -> None:
    system = await load(place.concepts)
    found = await place.concepts.find(system, ["plant", "tree", "bush", "oak"])
    below = {code: c.below for code, c in found.items()}
    assert below == {"plant": (1, 5), "tree": (2, 4), "bush": (2, 2), "oak": ()}
    assert found["oak"].parents == ("tree",)


async def test_a_parent_that_is_not_there_is_left_out(place: Place) -> None:
    system = await load(place.concepts)
    assert (await place.concepts.find(system, ["stone"]))["stone"].parents == ()


async def test_everything_about_a_concept_is_kept(place: Place) -> None:
    given = StoredConcept(
        "a", "A", "first", ({"language": "de", "value": "Ä"},), ({"code": "n", "valueDecimal": 1},),
        ({"url": "http://e", "valueBoolean": True},), (), True, True,
    )  # fmt: skip
    system = await load(place.concepts, [given])
    found = (await place.concepts.find(system, ["a"]))["a"]
    given.ordinal = 0
    assert found == given


async def test_codes_are_found_as_they_are_written(place: Place) -> None:
    system = await load(place.concepts)
    assert (await place.concepts.find(system, ["OAK", "Oak", "fir"])) == {}
    assert list(await place.concepts.find(system, ["oak", "oak", "beech"])) == ["oak", "beech"]


async def test_a_system_that_minds_no_case_finds_codes_in_any(place: Place) -> None:
    rows = [concept("Oak"), concept("Beech", "OAK")]
    system = await load(place.concepts, rows, caseSensitive=False)
    found = await place.concepts.find(system, ["oak", "OAK", "beech"])
    assert {asked: c.code for asked, c in found.items()} == {"oak": "Oak", "OAK": "Oak", "beech": "Beech"}
    assert found["beech"].parents == ("Oak",)


async def test_children_are_those_with_the_parent(place: Place) -> None:
    system = await load(place.concepts)
    found = await place.concepts.find(system, ["tree", "oak"])
    assert codes(await place.concepts.children(system, found["tree"], 10)) == "hazel oak beech"
    assert codes(await place.concepts.children(system, found["tree"], 2)) == "hazel oak"
    assert await place.concepts.children(system, found["oak"], 10) == []


def many(count: int) -> list[StoredConcept]:
    """Return concepts in a flat list, of which each tenth has a name and a property of its own."""
    rows = []
    for n in range(count):
        special = n % 1000 == 500
        rows.append(
            StoredConcept(
                f"c{n}",
                f"Special thing {n}" if special else f"Ordinary matter {n}",
                properties=({"code": "kind", "valueCode": "rare" if special else "common"},),
                inactive=special,
            )
        )
    return rows


async def test_properties_and_words_lead_to_concepts(place: Place) -> None:
    system = await load(place.concepts, many(3000), batch=1000)
    rare = await place.concepts.having(system, [property_key("kind", "rare")], 1000)
    assert {"c500", "c1500", "c2500"} <= {c.code for c in rare}
    assert len(rare) <= 3 * BLOCK
    assert {c.code for c in await place.concepts.having(system, [INACTIVE], 1000)} == {c.code for c in rare}
    assert await place.concepts.having(system, [property_key("kind", "none")], 1000) == []
    assert {c.code for c in await place.concepts.named(system, ["spec", "thi"], 1000)} == {c.code for c in rare}
    assert await place.concepts.named(system, ["pecial"], 1000) == []
    assert "c42" in {c.code for c in await place.concepts.named(system, ["c42"], 1000)}


async def test_accents_and_case_do_not_matter_to_words(place: Place) -> None:
    system = await load(place.concepts)
    assert "beech" in codes(await place.concepts.named(system, ["hetre"], 1000))


async def test_what_would_take_too_many_concepts_is_refused(place: Place) -> None:
    system = await load(place.concepts, many(3000), batch=1000)
    with pytest.raises(TooCostly, match="More than 1000 concepts"):
        await place.concepts.having(system, [property_key("kind", "common")], 1000)
    with pytest.raises(TooCostly, match="More than 1000 concepts"):
        await place.concepts.named(system, ["ord", "mat"], 1000)
    # A word that leads to few is taken, though it is not the longest.
    assert len(await place.concepts.named(system, ["c500", "special"], 100)) <= 3 * BLOCK


async def test_a_batch_that_is_sent_again_replaces_the_first(place: Place) -> None:
    system = await place.concepts.begin(HEAD, by="me", now=5)
    await place.concepts.add(system.key, 3, [concept("a"), concept("b")])
    await place.concepts.add(system.key, 3, [concept("a")])
    assert (await place.concepts.finish(system.key, now=6)).count == 1


async def test_a_load_takes_the_place_of_the_one_before_when_it_is_finished(place: Place) -> None:
    old = await load(place.concepts)
    new = await place.concepts.begin(HEAD, by="me", now=8)
    await place.concepts.add(new.key, 0, [concept("larch")])
    assert [s.key for s in await place.concepts.systems(URL)] == [old.key]
    before = (await MongoConformance(place.driver).read(place.tenant)).generation
    await place.concepts.finish(new.key, now=9)
    assert [s.key for s in await place.concepts.systems(URL)] == [new.key]
    assert [s.key for s in await place.concepts.all()] == [new.key]
    assert (await MongoConformance(place.driver).read(place.tenant)).generation > before
    with pytest.raises(Unavailable, match="replaced"):
        await place.concepts.find(old, ["fir"])
    with pytest.raises(Unavailable, match="replaced"):
        await place.concepts.read(old, [(0, 1)])


async def test_versions_stand_side_by_side(place: Place) -> None:
    await load(place.concepts)
    await load(place.concepts, [concept("larch")], version="2")
    found = await place.concepts.systems(URL)
    assert sorted((s.version, s.count, s.state, s.by, s.started, s.finished) for s in found) == [
        ("1", 7, "ready", "me", 5, 7),
        ("2", 1, "ready", "me", 5, 7),
    ]
    assert found[0].head == {k: v for k, v in HEAD.items() if k != "concept"} | {"version": found[0].version}


async def test_a_load_that_is_abandoned_leaves_nothing(place: Place) -> None:
    system = await place.concepts.begin(HEAD, by="me", now=5)
    await place.concepts.add(system.key, 0, [concept("a")])
    assert [s.state for s in await place.concepts.all()] == ["loading"]
    assert await place.concepts.systems(URL) == []
    assert await place.concepts.remove(system.key)
    assert not await place.concepts.remove(system.key)
    assert await place.concepts.all() == []
    for act in (place.concepts.add(system.key, 1, []), place.concepts.finish(system.key, now=6)):
        with pytest.raises(NotFound, match="no load"):
            await act
    left = await place.driver.command(place.tenant.database, {"listCollections": 1, "nameOnly": True})
    assert not [c["name"] for c in left["cursor"]["firstBatch"] if system.key in c["name"]]


async def test_finishing_may_be_begun_again(place: Place) -> None:
    rows = many(2000)
    system = await place.concepts.begin(HEAD, by="me", now=5)
    await place.concepts.add(system.key, 0, rows)

    async def stop(done: int, total: int) -> None:
        if done:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await place.concepts.finish(system.key, now=6, progress=stop)
    assert await place.concepts.systems(URL) == []
    told = []

    async def tell(done: int, total: int) -> None:
        told.append((done, total))

    finished = await place.concepts.finish(system.key, now=7, progress=tell)
    assert finished.count == 2000
    assert told[-1] == (2000, 2000)
    assert codes(await place.concepts.read(finished, [(1998, 1999)])) == "c1998 c1999"


async def test_more_than_fits_into_memory_is_read_in_portions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*TREES, *(concept(f"twig{n}", "oak" if n % 2 else "beech") for n in range(150))]
    whole = await place.concepts.read(await load(place.concepts, rows, 40), [(0, 156)])
    monkeypatch.setattr(concept_loading, "MAX_HELD", 1_000)
    assert await place.concepts.read(await load(place.concepts, rows, 40), [(0, 156)]) == whole


async def test_a_code_that_occurs_twice_is_refused(place: Place) -> None:
    with pytest.raises(Unprocessable, match="the code oak occurs twice"):
        await load(place.concepts, [concept("oak"), concept("fir"), concept("elm"), concept("oak")])
    assert await place.concepts.systems(URL) == []


@pytest.mark.parametrize("rows", [["a b", "b c", "c b"], ["a a"], ["r", "a r b", "b a"]])
async def test_a_concept_above_itself_is_refused(place: Place, rows: list[str]) -> None:
    with pytest.raises(Unprocessable, match=r"the concept \w is above itself"):
        await load(place.concepts, [concept(*row.split()) for row in rows])


async def test_an_empty_system_can_be_loaded(place: Place) -> None:
    system = await load(place.concepts, [])
    assert system.count == 0
    assert await place.concepts.find(system, ["a"]) == {}


async def test_no_tenant_sees_what_another_has(place: Place) -> None:
    system = await load(place.concepts)
    await place.concepts.find(system, ["oak"])
    assert await place.others.systems(URL) == []
    assert await place.others.all() == []
    with pytest.raises(Unavailable):
        await place.others.find(system, ["oak"])
