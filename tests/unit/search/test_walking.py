"""Pages and counts of what has to be looked at to be known. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import pytest

from fhir_server.api import Everything, Order, Position, TooCostly
from fhir_server.search import walking
from fhir_server.search.plan import Json, Plan, on_each
from fhir_server.search.walking import Exhausted, all_of_plan, count, page, position
from tests.unit.search.memory import Memory

ORDER = Order("key", descending=False)


@pytest.fixture
def records() -> Memory:
    memory = Memory()
    memory.add(*({"resourceType": "Basic", "id": f"{n:03}"} for n in range(100)))
    return memory


def every(number: int) -> Plan:
    """Return the plan of what has an id that is divided by a number."""
    return Plan(Everything(), on_each(lambda resource: int(resource["id"]) % number == 0))


def looked_at(records: Memory) -> list[int]:
    """Return the limit of each search."""
    return [limit for _, limit in records.searches]


async def test_what_the_index_says_is_not_looked_at(records: Memory) -> None:
    found = await page(records, Plan(Everything()), ORDER, 3, Position(0, "Basic/005"))
    assert [r.id for r in found.records] == ["006", "007", "008"]
    assert found.more
    assert looked_at(records) == [3]
    assert await count(records, Plan(Everything())) == 100
    assert await count(records, Plan(Everything()), 7) == 7
    assert looked_at(records) == [3]


@pytest.mark.parametrize("size", [1, 2, 7, 9, 10, 11, 50])
@pytest.mark.parametrize("order", [ORDER, Order("key", descending=True), Order("moment", descending=True)])
async def test_pages_of_what_passes_are_full_and_have_each_once(records: Memory, order: Order, size: int) -> None:
    seen: list[str] = []
    after: Position | None = None
    while True:
        found = await page(records, every(10), order, size, after)
        seen += [r.id for r in found.records]
        if not found.more:
            break
        assert len(found.records) == size
        after = position(found.records[-1], order)
    assert seen == sorted((f"{n:03}" for n in range(0, 100, 10)), reverse=order == Order("key", descending=True))


async def test_the_less_passes_the_more_is_looked_at_at_a_time(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_LARGEST_BATCH", 16)
    found = await page(records, every(50), ORDER, 2, None)
    assert [r.id for r in found.records] == ["000", "050"]
    assert not found.more
    assert looked_at(records) == [3, 6, 12, 16, 16, 16, 16, 16]


async def test_a_page_is_looked_for_so_far_and_no_further(records: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_LARGEST_BATCH", 10)
    monkeypatch.setattr(walking, "MAX_LOOKED_AT", 60)
    found = await page(records, every(50), ORDER, 1, None)  # there is another behind the first 50
    assert [r.id for r in found.records] == ["000"]
    assert found.more
    with pytest.raises(Exhausted, match="After 60 resources"):
        await page(records, every(50), ORDER, 2, None)
    assert issubclass(Exhausted, TooCostly)
    monkeypatch.setattr(walking, "MAX_LOOKED_AT", 100)
    assert len((await page(records, every(50), ORDER, 2, None)).records) == 2


@pytest.mark.parametrize(("cap", "expected"), [(0, 10), (4, 4), (10, 10), (11, 10)])
async def test_a_count_of_what_passes(
    records: Memory, monkeypatch: pytest.MonkeyPatch, cap: int, expected: int
) -> None:
    monkeypatch.setattr(walking, "_LARGEST_BATCH", 8)
    assert await count(records, every(10), cap) == expected


async def test_a_count_goes_so_far_and_no_further(records: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_LARGEST_BATCH", 10)
    monkeypatch.setattr(walking, "MAX_LOOKED_AT", 60)
    assert await count(records, every(10), 5) == 5
    with pytest.raises(Exhausted):
        await count(records, every(10))
    with pytest.raises(Exhausted):
        await count(records, every(10), 9)


async def test_all_of_a_plan_is_all_or_more_than_was_asked_for(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_LARGEST_BATCH", 10)
    assert sorted(r.id for r in await all_of_plan(records, every(30), 50)) == ["000", "030", "060", "090"]
    assert len(await all_of_plan(records, Plan(Everything()), 25)) > 25
    monkeypatch.setattr(walking, "MAX_LOOKED_AT", 60)
    assert len(await all_of_plan(records, Plan(Everything()), 100)) == 100  # nothing was looked at
    with pytest.raises(Exhausted):
        await all_of_plan(records, every(30), 50)


async def test_a_test_sees_each_resource_once(records: Memory) -> None:
    seen: list[str] = []

    def sees(resource: Json) -> bool:
        seen.append(resource["id"])
        return False

    await page(records, Plan(Everything(), on_each(sees)), ORDER, 5, None)
    assert seen == [f"{n:03}" for n in range(100)]
