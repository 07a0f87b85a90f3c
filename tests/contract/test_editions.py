"""What api.editions promises, on every database and with both drivers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from fhir_server.api.criteria import HistoryOf
from fhir_server.api.editions import Announcement, Indexed, ParameterSet
from fhir_server.api.records import Draft, Index
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import MongoStore
from fhir_server.store.parameter_sets import MongoParameterSets
from fhir_server.store.reindexing import MongoReindexing

pytestmark = pytest.mark.engine


@pytest.fixture
def sets(driver: Driver) -> MongoParameterSets:
    return MongoParameterSets(driver)


async def test_a_set_nobody_changed_is_empty_and_no_news(sets: MongoParameterSets, tenant: Tenant) -> None:
    assert await sets.read(tenant) == ParameterSet()
    assert await sets.news(tenant, 0) is None


async def test_of_racing_changes_one_is_the_next_generation(sets: MongoParameterSets, tenant: Tenant) -> None:
    for generation in (0, 1):
        changes = (sets.change(tenant, generation, [{"code": f"{generation}-{n}"}]) for n in range(5))
        assert sorted(await asyncio.gather(*changes)) == [False] * 4 + [True]
        kept = await sets.read(tenant)
        assert kept.generation == generation + 1
        assert [row["code"][:2] for row in kept.rows] == [f"{generation}-"]
    assert await sets.news(tenant, 2) is None
    assert (await sets.news(tenant, 1)) == kept
    assert not await sets.change(tenant, 0, [])


async def test_what_is_announced_is_news_until_it_is_settled(sets: MongoParameterSets, tenant: Tenant) -> None:
    first, second = Announcement("SearchParameter/a.b/1", 1000), Announcement("SearchParameter/c/2", 2000)
    await sets.announce(tenant, [first])
    await sets.announce(tenant, [second, first])
    assert await sets.news(tenant, 0) == ParameterSet(announced=(first, second, first))
    await sets.settle(tenant, [first.token])
    assert await sets.change(tenant, 0, [])
    assert await sets.read(tenant) == ParameterSet(1, (), (second,))
    await sets.settle(tenant, [second.token])
    assert await sets.news(tenant, 1) is None


def draft(key: str, generation: int = 0, version: int = 1, *, terms: tuple[int, ...] = (1,), **more: Any) -> Draft:
    index = Index(terms, ("aaaaaaaaaatext",), moment=5, present=("code",))
    return Draft(key, version, 1000 * version, b"{}", "PUT", index, generation=generation, **more)


async def test_keys_are_those_of_a_type_in_their_order(driver: Driver, tenant: Tenant) -> None:
    records, reindexing = MongoStore(driver, "unused").records(Scope(tenant)), MongoReindexing(driver)
    await records.create([draft(f"Basic/{name}", version=v) for name, v in (("d", 1), ("b", 1), ("a", 2), ("c", 3))])
    await records.create([draft("BasicX/a"), draft("Appointment/a"), draft("Binary/a")])
    assert await reindexing.keys(tenant, "Basic", "", 9) == ["Basic/a", "Basic/b", "Basic/c", "Basic/d"]
    assert await reindexing.keys(tenant, "Basic", "", 2) == ["Basic/a", "Basic/b"]
    assert await reindexing.keys(tenant, "Basic", "Basic/b", 2) == ["Basic/c", "Basic/d"]
    assert await reindexing.keys(tenant, "Basic", "Basic/d", 2) == []
    assert await reindexing.keys(tenant, "Basic", "", 9, 2000) == ["Basic/a", "Basic/c"]
    assert await reindexing.keys(tenant, "Basic", "Basic/a", 9, 3000) == ["Basic/c"]


async def read(reindexing: MongoReindexing, tenant: Tenant, below: int | None = None) -> dict[str, Indexed]:
    found = await reindexing.read(tenant, [f"Basic/{name}" for name in "abcdx"], below)
    return {one.record.id: one for one in found}


async def test_live_resources_are_read_with_what_they_are_found_by(driver: Driver, tenant: Tenant) -> None:
    records, reindexing = MongoStore(driver, "unused").records(Scope(tenant)), MongoReindexing(driver)
    await records.create([draft(f"Basic/{name}", 0 if name == "b" else 3) for name in "abc"])
    gone = (await records.current(["Basic/c"]))["Basic/c"]
    assert await records.replace([(Draft("Basic/c", 2, 9000, b"", "DELETE", deleted=True), gone)])
    found = await read(reindexing, tenant)
    assert set(found) == {"a", "b"}
    assert (found["a"].index, found["a"].generation, found["a"].record.raw) == (draft("Basic/a").index, 3, b"{}")
    assert [set(await read(reindexing, tenant, below)) for below in (1, 3, 4)] == [{"b"}, {"b"}, {"a", "b"}]


async def test_rewriting_changes_what_a_version_is_found_by_and_nothing_else(driver: Driver, tenant: Tenant) -> None:
    records, reindexing = MongoStore(driver, "unused").records(Scope(tenant)), MongoReindexing(driver)
    await records.create([draft(f"Basic/{name}", 0 if name == "d" else 2) for name in "abcd"])
    before, found = await records.read("Basic/a"), await read(reindexing, tenant)
    made = [
        Draft("Basic/a", 1, 5, b"other", "POST", Index((7, 8)), generation=3),
        draft("Basic/b", 3, version=2, terms=(9,)),
        draft("Basic/c", 3, terms=(9,)),
        draft("Basic/d", 0, terms=(9,)),
    ]
    changes = [(found[one.key[-1]], one) for one in made]
    changes[2] = (msgspec.structs.replace(found["c"], generation=1), made[2])
    assert await reindexing.rewrite(tenant, changes) == 2
    after, again = await records.read("Basic/a"), await read(reindexing, tenant)
    assert before is not None
    assert after is not None
    assert (after.version, after.updated, after.raw, after.method) == (1, 1000, b"{}", before.method)
    assert (again["a"].index, again["a"].generation) == (Index((7, 8)), 3)
    assert [(again[n].index.terms, again[n].generation) for n in "bcd"] == [((1,), 2), ((1,), 2), ((9,), 0)]
    assert len((await records.history(HistoryOf("Basic/a"), 9)).records) == 1


async def test_rewriting_meets_a_transaction_and_loses_nothing(driver: Driver, tenant: Tenant) -> None:
    store = MongoStore(driver, "unused")
    records, reindexing = store.records(Scope(tenant)), MongoReindexing(driver)
    await records.create([draft(f"Basic/{name}") for name in "ab"])
    found = await read(reindexing, tenant)
    old = (await records.current(["Basic/a"]))["Basic/a"]

    async def rewritten() -> int:
        await asyncio.sleep(0.05)
        return await reindexing.rewrite(tenant, [(found[n], draft(f"Basic/{n}", 1, terms=(9,))) for n in "ab"])

    async def replaced() -> None:
        async with store.transaction(Scope(tenant)) as inside:
            assert await inside.replace([(draft("Basic/a", 1, version=2, terms=(5,)), old)])
            await asyncio.sleep(0.3)

    count, _ = await asyncio.gather(rewritten(), replaced())
    again = await read(reindexing, tenant)
    assert (again["a"].record.version, again["a"].index.terms) == (2, (5,))
    assert again["b"].index.terms == ((9,) if count else (1,))
    assert await reindexing.rewrite(tenant, [(again["b"], draft("Basic/b", 2, terms=(8,)))]) == 1
