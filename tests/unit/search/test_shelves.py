"""What is remembered of a tenant's definitions is never older than the count of its changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from fhir_server.api.concepts import Concepts, StoredSystem
from fhir_server.api.conformance import ConformanceState, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.search import shelves
from fhir_server.search.shelved import ShelvedConcepts
from fhir_server.search.shelves import Glance, Shelves

ONE, OTHER = (Tenant(name, f"db_{name}", b"") for name in ("one", "other"))


class States:
    """The counts of tenants, and how often they were asked for."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    async def read(self, tenant: Tenant) -> ConformanceState:
        return ConformanceState(self.counts.get(tenant.name, 0))

    async def news(self, tenant: Tenant, generation: int) -> ConformanceState | None:
        count = self.counts.get(tenant.name)
        return None if count is None or count == generation else ConformanceState(count)

    async def touch(self, tenant: Tenant) -> None:
        self.counts[tenant.name] = self.counts.get(tenant.name, 0) + 1

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        raise AssertionError


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_what_was_found_is_there_until_something_changes() -> None:
    states = States()
    known = Shelves(states)
    (await known.of(ONE)).put("ValueSet", "u", [b"old"])
    assert (await known.of(ONE)).get("ValueSet", "u") == [b"old"]
    assert (await known.of(ONE)).get("CodeSystem", "u") is None
    for _ in range(2):
        await states.touch(ONE)
        assert (await known.of(ONE)).get("ValueSet", "u") is None
        (await known.of(ONE)).put("ValueSet", "u", [b"new"])
        assert (await known.of(ONE)).get("ValueSet", "u") == [b"new"]


async def test_who_looked_before_a_change_leaves_nothing_to_those_after_it() -> None:
    states = States()
    known = Shelves(states)
    before = await known.of(ONE)
    await states.touch(ONE)
    after = await known.of(ONE)
    before.put("ValueSet", "u", [b"old"])
    assert after.get("ValueSet", "u") is None


async def test_tenants_share_nothing() -> None:
    known = Shelves(States())
    (await known.of(ONE)).put("ValueSet", "u", [b"one"])
    assert (await known.of(OTHER)).get("ValueSet", "u") is None
    assert (await known.of(ONE)).get("ValueSet", "u") == [b"one"]


async def test_what_is_old_is_looked_up_anew() -> None:
    clock = Clock()
    known = Shelves(States(), clock)
    (await known.of(ONE)).put("ValueSet", "u", [])
    clock.at = shelves.MAX_AGE - 1
    assert (await known.of(ONE)).get("ValueSet", "u") == []
    clock.at = shelves.MAX_AGE
    assert (await known.of(ONE)).get("ValueSet", "u") is None


async def test_what_was_not_asked_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_BYTES", 2_000)
    shelf = await Shelves(States()).of(ONE)
    for name in "abc":
        shelf.put("ValueSet", name, [b"x" * 100])
    assert shelf.get("ValueSet", "a") is not None
    shelf.put("ValueSet", "d", [b"x" * 100])
    assert [n for n in "abcd" if shelf.get("ValueSet", n) is None] == ["b"]
    shelf.put("ValueSet", "e", [b"x" * 5_000])
    assert [n for n in "abcde" if shelf.get("ValueSet", n) is not None] == []


async def test_one_call_asks_once_whether_anything_changed() -> None:
    states = States()
    known = Shelves(states)
    glance = Glance(known, ONE)
    first = await glance()
    await states.touch(ONE)
    assert await glance() is first
    assert await Glance(known, ONE)() is not first


class Heads:
    """The heads of stored code systems, and how often they were asked for."""

    def __init__(self) -> None:
        self.found = [StoredSystem("k1", "urn:a", "1", {"url": "urn:a", "name": "A"}, 3, "ready")]
        self.asked = 0

    async def systems(self, url: str) -> Sequence[StoredSystem]:
        self.asked += 1
        return [head for head in self.found if head.url == url]

    async def all(self) -> str:
        return "passed on"


async def test_the_heads_of_stored_systems_are_remembered_until_something_changes() -> None:
    states, heads = States(), Heads()
    known = Shelves(states)

    def concepts() -> Any:
        return ShelvedConcepts(cast(Concepts, heads), Glance(known, ONE))

    for _ in range(3):
        assert await concepts().systems("urn:a") == heads.found
        assert await concepts().systems("urn:b") == []
    assert heads.asked == 2
    heads.found = []
    await states.touch(ONE)
    assert await concepts().systems("urn:a") == []
    assert await concepts().all() == "passed on"
