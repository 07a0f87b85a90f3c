"""What every store must do, on the real database and over both drivers. See fhir_server.api.ports."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from random import Random
from uuid import uuid4

import pytest

from fhir_server.api import (
    Access,
    Draft,
    Duplicate,
    Index,
    Nothing,
    Order,
    Position,
    Scope,
    Stored,
    Tenant,
    Term,
    Updated,
)
from fhir_server.api.criteria import (
    And,
    Checked,
    Containing,
    Criterion,
    HistoryOf,
    Key,
    Moment,
    Not,
    OfType,
    Or,
    Present,
    Range,
    all_of,
)
from fhir_server.api.ports import TransactionConflict, Writing
from fhir_server.api.records import UNDATED, Outline
from fhir_server.store import pages
from fhir_server.store.documents import HISTORY, INDEXES, to_document, to_history
from fhir_server.store.mongo import MongoStore, connect
from tests.unit.search.memory import Kept, meets


@pytest.fixture(scope="module", params=["mongojet", "pymongo"])
async def store(request: pytest.FixtureRequest, engine_url: str) -> AsyncIterator[MongoStore]:
    made = MongoStore(await connect(engine_url, request.param), f"c{uuid4().hex[:10]}")
    await made.create_tenant("a", os.urandom(32))
    yield made
    await made.drop_everything()
    await made.close()


@pytest.fixture(scope="module")
async def tenant(store: MongoStore) -> Tenant:
    found = await store.tenant("a")
    assert found is not None
    return found


@pytest.fixture
def records(store: MongoStore, tenant: Tenant) -> Writing:
    return store.records(Scope(tenant))


def key() -> str:
    return f"Patient/{uuid4()}"


def draft(name: str, version: int = 1, *, terms: tuple[int, ...] = (), moment: int = 0, raw: bytes = b"{}") -> Draft:
    return Draft(name, version, 1000 * version, raw, "PUT", Index(terms, (), moment))


async def current(records: Writing, name: str) -> Stored:
    return (await records.current([name]))[name]


async def test_what_was_created_is_read_back_byte_by_byte(records: Writing) -> None:
    name = key()
    await records.create([draft(name, raw=b'{"value":1.00}')])
    found = await records.read(name)
    assert found is not None
    assert (found.key, found.version, found.updated, found.raw) == (name, 1, 1000, b'{"value":1.00}')
    assert await records.read(key()) is None


async def test_a_key_is_created_once_and_its_neighbours_all_the_same(records: Writing) -> None:
    name, other = key(), key()
    await records.create([draft(name)])
    outcomes = await asyncio.gather(
        records.create([draft(name)]), records.create([draft(other)]), return_exceptions=True
    )
    assert [type(o) for o in outcomes] == [Duplicate, type(None)]
    assert await records.read(other) is not None


async def test_of_racing_replacements_one_wins_and_the_old_version_stays(records: Writing) -> None:
    name = key()
    await records.create([draft(name)])
    old = await current(records, name)
    outcomes = await asyncio.gather(*(records.replace([(draft(name, 2, raw=b'{"n":%d}' % n), old)]) for n in range(8)))
    assert sorted(outcomes) == [False] * 7 + [True]
    first, second = await records.vread(name, 1), await records.vread(name, 2)
    assert first is not None
    assert first.raw == b"{}"
    assert second is not None
    assert second == await records.read(name)


async def test_history_is_newest_first_and_shows_a_crash_between_two_writes_once(
    store: MongoStore, tenant: Tenant, records: Writing
) -> None:
    name = key()
    await records.create([draft(name)])
    for version in (2, 3):
        assert await records.replace([(draft(name, version), await current(records, name))])
    left_behind = to_history(await current(records, name), at=9999)
    await store._driver.command(tenant.database, {"insert": HISTORY, "documents": [left_behind]})
    page = await records.history(HistoryOf(name), 10)
    assert [(r.version, r.updated) for r in page.records] == [(3, 3000), (2, 2000), (1, 1000)]
    assert not page.more


async def test_history_pages_without_gap_or_repeat(records: Writing) -> None:
    name = key()
    await records.create([draft(name)])
    for version in range(2, 8):
        assert await records.replace([(draft(name, version), await current(records, name))])
    seen: list[int] = []
    after: Position | None = None
    while True:
        page = await records.history(HistoryOf(name), 2, after)
        seen += [r.version for r in page.records]
        if not page.more:
            break
        last = page.records[-1]
        after = Position(last.updated, last.key, last.version)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_history_at_a_time_is_what_was_current_then(records: Writing) -> None:
    name = key()
    await records.create([draft(name)])
    for version in (2, 3):
        assert await records.replace([(draft(name, version), await current(records, name))])
    page = await records.history(HistoryOf(name, at=(1500, 2500)), 10)
    assert [r.version for r in page.records] == [2, 1]
    page = await records.history(HistoryOf(name, since=2000), 10)
    assert [r.version for r in page.records] == [3, 2]


async def test_pages_of_equal_moments_give_each_resource_once(records: Writing) -> None:
    term = uuid4().int >> 65
    names = sorted(key() for _ in range(25))
    await records.create([draft(n, terms=(term,), moment=5 if i % 2 else 7) for i, n in enumerate(names)])
    seen: list[str] = []
    after: Position | None = None
    while True:
        page = await records.search(Term((term,)), Order(), 4, after)
        seen += [r.key for r in page.records]
        if not page.more:
            break
        after = Position(page.records[-1].moment, page.records[-1].key)
    assert seen == names[0::2] + names[1::2]
    assert await records.count(Term((term,))) == 25
    assert await records.count(Term((term,)), cap=10) == 10


async def test_a_checked_condition_filters_and_pages_are_still_full(records: Writing) -> None:
    term = uuid4().int >> 65
    made = [
        Draft(key(), 1, 1, b"{}", "PUT", Index((term,), ("low5",) if n % 2 else ("low1",), 100 - n)) for n in range(20)
    ]
    await records.create(made)
    where = And((Term((term,)), Checked(Not(And((Moment(None, 99), Not(Range("low4", "low9"))))))))
    page = await records.search(where, Order(), 6)
    assert [r.moment for r in page.records] == [100, 99, 97, 95, 93, 91]
    assert page.more
    after = Position(91, page.records[-1].key)
    rest = await records.search(where, Order(), 6, after)
    assert [r.moment for r in rest.records] == [89, 87, 85, 83, 81]
    assert not rest.more
    assert await records.count(where) == 11


async def test_the_access_predicate_is_anded_into_everything(
    store: MongoStore, tenant: Tenant, records: Writing
) -> None:
    name, term = key(), uuid4().int >> 65
    await records.create([draft(name, terms=(term,))])
    assert await records.replace([(draft(name, 2, terms=(term,)), await current(records, name))])
    blind = store.records(Scope(tenant, Access(Nothing())))
    assert await blind.read(name) is None
    assert await blind.read_many([name]) == {}
    assert await blind.current([name]) == {}
    assert await blind.vread(name, 1) is None
    assert (await blind.search(Term((term,)), Order(), 5)).records == ()
    assert await blind.count(Term((term,))) == 0
    assert (await blind.history(HistoryOf(name), 5)).records == ()
    assert await store.records(Scope(tenant, Access(Term((term,))))).vread(name, 1) is not None


async def test_deleted_resources_are_found_by_no_search(records: Writing) -> None:
    name, term = key(), uuid4().int >> 65
    await records.create([draft(name, terms=(term,))])
    tombstone = Draft(name, 2, 123_456_789, b"", "DELETE", deleted=True)
    assert await records.replace([(tombstone, await current(records, name))])
    found = await records.read(name)
    assert found is not None
    assert found.deleted
    assert (await records.search(Term((term,)), Order(), 5)).records == ()
    assert (await records.search(Updated(123_456_789, 123_456_790), Order("updated"), 5)).records == ()


async def test_a_transaction_is_all_or_nothing(store: MongoStore, tenant: Tenant, records: Writing) -> None:
    one, two = key(), key()

    async def broken_off() -> None:
        async with store.transaction(Scope(tenant)) as inside:
            await inside.create([draft(one)])
            assert await inside.read(one) is not None
            assert await records.read(one) is None
            raise KeyError

    with pytest.raises(KeyError):
        await broken_off()
    assert await records.read(one) is None
    async with store.transaction(Scope(tenant)) as inside:
        await inside.create([draft(one), draft(two)])
    assert sorted(await records.read_many([one, two])) == sorted([one, two])


async def test_of_racing_claims_one_commits_and_a_later_one_takes_over(store: MongoStore, tenant: Tenant) -> None:
    claim = uuid4().hex
    now = 1_800_000_000_000

    async def one() -> bool:
        try:
            async with store.transaction(Scope(tenant)) as inside:
                await inside.reserve(claim, key(), now)
                await asyncio.sleep(0.2)  # long enough for all to be under way on a busy machine
        except TransactionConflict:
            return False
        return True

    assert sorted(await asyncio.gather(*(one() for _ in range(6)))) == [False] * 5 + [True]
    assert await one()


def test_no_compound_index_spans_two_arrays() -> None:
    """MongoDB refuses such a document; the embedded engines do not, so nothing else would tell."""
    made = Draft("Patient/1", 1, 1, b"{}", "PUT", Index((1, 2), ("a", "b"), 5))
    old = Stored("Patient/1", 1, 1, b"{}", terms=(1, 2))
    documents = {"resources": to_document(made), "history": to_history(old, 2)}
    arrays = {name: {f for f, v in document.items() if isinstance(v, list)} for name, document in documents.items()}
    assert arrays == {"resources": {"t", "s", "p"}, "history": {"t"}}
    for name, fields in arrays.items():
        for index in INDEXES[name]:
            assert len(fields & index["key"].keys()) <= 1, index


@pytest.mark.parametrize("limit", [5, 200])
@pytest.mark.parametrize("checked", [False, True])
async def test_a_page_of_large_resources_ends_early_and_the_next_goes_on(
    records: Writing, monkeypatch: pytest.MonkeyPatch, limit: int, *, checked: bool
) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 20_000_000)
    names, mark, order = [key() for _ in range(7)], uuid4().int >> 65, Order("moment", descending=True)
    for place, name in enumerate(names):
        await records.create([draft(name, terms=(mark,), moment=1000 - place, raw=b"x" * 8_000_000)])
    where = And((Term((mark,)), Checked(Moment(995, None)))) if checked else Term((mark,))
    right = names[:6] if checked else names
    after: Position | None = None
    sizes: list[int] = []
    found: list[str] = []
    more = True
    while more:
        page = await records.search(where, order, limit, after)
        more = page.more
        sizes.append(len(page.records))
        found += [r.key for r in page.records]
        after = Position(page.records[-1].moment, page.records[-1].key) if page.records else after
        assert len(sizes) < 9
    assert found == right
    assert max(sizes) == 3


TERMS = range(1, 6)
RANGES = ("aa1", "aa5\nline", "aa9", "bb1", "bb5", "bb.5")
CODES = ("code", "date", "status")


def scattered(random: Random) -> list[Kept]:
    """Return resources with a little of everything."""
    rows = []
    for number in range(60):
        index = Index(
            tuple(random.sample(TERMS, random.randrange(4))),
            tuple(random.sample(RANGES, random.randrange(4))),
            random.choice([UNDATED, 0, 5, 6, 7]),
            tuple(random.sample(CODES, random.randrange(3))),
        )
        name = f"{random.choice(['Patient', 'Group', 'Basic'])}/{number}"
        rows.append(Kept(Stored(name, 1, random.randrange(1000, 1005), b"{}", moment=index.moment), index))
    return rows


def leaf(random: Random) -> Criterion:
    """Return a criterion without parts, any but Nothing and Everything."""
    low, high = sorted(random.sample(["aa", "aa5", "aa~", "bb", "bb5", "bb~"], 2))
    numbers = [None, 5, 6, 7]
    kinds: list[Criterion] = [
        Term(tuple(random.sample(TERMS, random.randrange(1, 3))), broad=random.random() < 0.5),
        Range(low, high),
        Containing(random.choice(["aa", "bb"]), random.choice(["5", ".", "line", "\nl"])),
        Present(random.choice(CODES)),
        Key(tuple(f"{kind}/{n}" for kind in ("Patient", "Group") for n in random.sample(range(60), 5))),
        OfType(tuple(random.sample(["Patient", "Group", "Basic"], 2))),
        Moment(random.choice(numbers), random.choice(numbers)),
        Updated(random.choice([None, 1001, 1002]), random.choice([None, 1003, 1004])),
    ]
    return random.choice(kinds)


def tree(random: Random, depth: int) -> Criterion:
    """Return a criterion of parts."""
    kind = random.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
    if kind == "leaf":
        return leaf(random)
    if kind == "not":
        return Not(tree(random, depth - 1))
    parts = tuple(tree(random, depth - 1) for _ in range(random.randrange(2, 4)))
    return And(parts) if kind == "and" else Or(parts)


async def walked(records: Writing, where: Criterion) -> list[str]:
    """Return the keys of all pages."""
    found: list[str] = []
    after: Position | None = None
    while True:
        page = await records.search(where, Order(), 7, after)
        found += [r.key for r in page.records]
        if not page.more:
            return found
        after = Position(page.records[-1].moment, page.records[-1].key)


async def test_each_criterion_finds_what_api_criteria_says(store: MongoStore) -> None:
    """Whatever combination; what the database makes of it is held against the same criterion walked in memory."""
    random = Random(20)
    await store.create_tenant("criteria", os.urandom(32))
    tenant = await store.tenant("criteria")
    assert tenant is not None
    records = store.records(Scope(tenant))
    rows = scattered(random)
    await records.create([Draft(r.record.key, 1, r.record.updated, b"{}", "PUT", r.index) for r in rows])
    gone = Draft(rows[0].record.key, 2, 1002, b"", "DELETE", deleted=True)
    assert await records.replace([(gone, await current(records, gone.key))])
    checks: list[Criterion] = [Moment(6, None), Not(Range("aa", "aa~")), Or((Moment(None, 6), Range("bb", "bb~")))]
    for _ in range(80):
        where = tree(random, 3)
        if random.random() < 0.4:
            where = all_of(where, Checked(random.choice(checks)))
        expected = [r.record for r in rows[1:] if meets(r, where)]
        expected.sort(key=lambda r: (-r.moment, r.key))
        found = await walked(records, where)
        assert found == [r.key for r in expected], where
        assert sorted(o.key for o in await records.outlines(where, 100)) == sorted(found), where
        assert await records.count(where) == len(found), where
        assert await records.count(where, 3) == min(3, len(found)), where


async def test_an_outline_has_terms_and_ranges_where_asked(records: Writing) -> None:
    name, term = key(), uuid4().int >> 65
    await records.create([Draft(name, 1, 77, b"{}", "PUT", Index((term,), ("b", "a"), 5))])
    assert await records.outlines(Term((term,)), 9) == [Outline(name, 77, 5)]
    assert await records.outlines(Term((term,)), 9, terms=True) == [Outline(name, 77, 5, (term,))]
    assert await records.outlines(Term((term,)), 9, ranges=True) == [Outline(name, 77, 5, (), ("b", "a"))]
    assert await records.outlines(Term((term,)), 1, terms=True, ranges=True) == [
        Outline(name, 77, 5, (term,), ("b", "a"))
    ]
