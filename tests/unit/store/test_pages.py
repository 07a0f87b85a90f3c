"""Pages of documents in memory: in order, full, without gap or repeat, whatever is checked and however far apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.api import And, Criterion, Moment, Not, Order, Position, Range, Scope, Tenant, Term
from fhir_server.api.criteria import Checked
from fhir_server.store import pages
from fhir_server.store.filters import live
from fhir_server.store.pages import Pages
from fhir_server.store.windows import Windows

Json = dict[str, Any]

SCOPE = Scope(Tenant("a", "x_a", b"k" * 32))
NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
HIT = Term((7,), broad=True)


def matches(query: Json, document: Json) -> bool:
    """Whether a document meets a filter, as far as these tests use the language of filters."""
    return all(_holds(field_name, asked, document) for field_name, asked in query.items())


def _holds(name: str, asked: Any, document: Json) -> bool:
    if name in ("$and", "$or", "$nor"):
        held = [matches(one, document) for one in asked]
        return {"$and": all(held), "$or": any(held), "$nor": not any(held)}[name]
    value = document.get(name)
    values = value if isinstance(value, list) else [value]
    if not isinstance(asked, dict):
        return asked in values
    if "$exists" in asked:
        return (name in document) is asked["$exists"]
    if "$elemMatch" in asked:
        return any(_compares(asked["$elemMatch"], one) for one in values)
    return any(_compares(asked, one) for one in values)


def _compares(asked: Json, value: Any) -> bool:
    tests: dict[str, Callable[[Any], bool]] = {
        "$gte": lambda bound: value >= bound,
        "$gt": lambda bound: value > bound,
        "$lt": lambda bound: value < bound,
        "$in": lambda bound: value in bound,
        "$nin": lambda bound: value not in bound,
    }
    return all(tests[operator](bound) for operator, bound in asked.items())


@dataclass
class Collection:
    """The documents, and the queries that were run: each with the lower bound of its moments and its limit."""

    documents: list[Json]
    asked: list[tuple[int | None, int]] = field(default_factory=list)

    def run(self, filters: Sequence[Json], limit: int, sort: Json | None) -> list[Json]:
        bounds = filters[0].get("d", {})
        low = bounds.get("$gt", None) if isinstance(bounds, dict) else bounds
        self.asked.append((low + 1 if isinstance(bounds, dict) and low is not None else low, limit))
        found = [d for d in self.documents if all(matches(f, d) for f in filters)]
        for name, direction in reversed((sort or {}).items()):
            found.sort(key=lambda d: d[name], reverse=direction < 0)
        return found[:limit] if limit else found

    async def find(
        self, collection: str, query: Json, projection: Json, limit: int, sort: Json | None = None
    ) -> list[Json]:
        return self.run([query], limit, sort)

    async def aggregate(self, pipeline: list[Json], limit: int) -> list[Json]:
        filters = [stage["$match"] for stage in pipeline if "$match" in stage]
        sort = next((stage["$sort"] for stage in pipeline if "$sort" in stage), None)
        cut = next((stage["$limit"] for stage in pipeline if "$limit" in stage), 0)
        found = self.run(filters, cut, sort)
        return [{"n": len(found)}] if "$count" in pipeline[-1] else found

    async def stream(
        self, query: Json | list[Json], projection: Json, limit: int, sort: Json
    ) -> AsyncGenerator[Json, None]:
        filters = [stage["$match"] for stage in query] if isinstance(query, list) else [query]
        for document in self.run(filters, limit, sort):
            yield document

    async def command(self, command: Json) -> Json:
        return {"n": len(self.run([command["query"]], command.get("limit", 0), None))}

    def pages(self, windows: Windows | None = None) -> Pages:
        return Pages(self.find, self.aggregate, self.stream, self.command, windows, "x_a")


def document(number: int, moment: int, *ranges: str, raw: bytes = b"{}") -> Json:
    return {"_id": f"P/{number:03}", "v": 1, "u": moment, "d": moment, "t": [7], "s": list(ranges), "raw": raw}


async def walked(made: Pages, where: Criterion, order: Order, limit: int) -> list[list[str]]:
    """Return the keys of all pages."""
    rows: list[list[str]] = []
    after: Position | None = None
    while True:
        page = await made.page(live(SCOPE, where), order, limit, after)
        rows.append([r.key for r in page.records])
        assert len(page.records) <= limit
        assert page.records or not page.more
        if not page.more:
            return rows
        assert len(page.records) == limit
        last = page.records[-1]
        after = Position(last.updated if order.by == "updated" else last.moment, last.key)


ORDERS = [Order(by, descending) for by in ("moment", "updated", "key") for descending in (True, False)]
SHOWN = Range("shown", "shown~")
CRITERIA: list[Criterion] = [
    HIT,
    And((HIT, Term((7, 8)))),
    And((HIT, Checked(SHOWN))),
    And((HIT, Term((7, 8)), Checked(Not(SHOWN)))),
    And((HIT, Moment(NOW - 4 * DAY, NOW))),
    And((HIT, Moment(None, NOW - DAY), Checked(SHOWN))),
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=14),
    st.sampled_from(CRITERIA),
    st.sampled_from(ORDERS),
    st.integers(1, 4),
    st.sampled_from([1, DAY, 400 * DAY]),
)
async def test_pages_have_each_match_once_in_order(
    rows: list[tuple[int, bool]], where: Criterion, order: Order, limit: int, apart: int
) -> None:
    collection = Collection(
        [document(n, NOW - ago * apart, "shown5" if shown else "hidden") for n, (ago, shown) in enumerate(rows)]
    )
    asked = live(SCOPE, where)
    expected = collection.run([asked.lead, *asked.rest], 0, None)
    if asked.check is not None:
        expected = [d for d in expected if ("shown5" in d["s"]) is (asked.check == SHOWN)]
    sign = -1 if order.descending else 1
    by = {"moment": "d", "updated": "u"}.get(order.by)
    expected.sort(key=lambda d: d["_id"], reverse=by is None and order.descending)
    if by is not None:
        expected.sort(key=lambda d: sign * d[by])
    windows = Windows(lambda: NOW)
    for made in (collection.pages(), collection.pages(windows), collection.pages(windows)):  # once known, once not
        assert [key for page in await walked(made, where, order, limit) for key in page] == [d["_id"] for d in expected]


async def test_what_fails_the_check_among_ties_is_made_up_for_by_what_comes_next() -> None:
    ties = [document(n, NOW, "shown5" if n in (10, 14, 15) else "hidden") for n in range(10, 16)]
    later = [document(n, NOW - DAY, "shown5") for n in (1, 20)]
    collection = Collection(ties + later)
    where = And((HIT, Checked(SHOWN)))
    page = await collection.pages().page(live(SCOPE, where), Order(), 2, Position(NOW, "P/010"))
    assert [r.key for r in page.records] == ["P/014", "P/015"]
    assert page.more
    page = await collection.pages().page(live(SCOPE, where), Order(), 3, Position(NOW, "P/010"))
    assert [r.key for r in page.records] == ["P/014", "P/015", "P/001"]
    assert page.more


async def test_the_next_page_of_what_is_known_is_found_in_its_first_window() -> None:
    collection = Collection([document(n, NOW - n * DAY) for n in range(200)])
    windows = Windows(lambda: NOW)
    made = collection.pages(windows)
    first = await made.page(live(SCOPE, HIT), Order(), 9, None)
    assert [r.key for r in first.records] == [f"P/{n:03}" for n in range(9)]
    assert [low for low, _ in collection.asked] == [NOW - DAY, NOW - 4 * DAY, NOW - 16 * DAY]
    collection.asked.clear()
    await made.page(live(SCOPE, HIT), Order(), 9, None)
    assert collection.asked == [(NOW - 18 * DAY, 10)]
    collection.asked.clear()
    last = first.records[-1]
    await made.page(live(SCOPE, HIT), Order(), 9, Position(last.moment, last.key))
    assert collection.asked == [(last.moment, 10), (last.moment - 18 * DAY, 10)]  # the ties, then what comes after


async def test_windows_are_for_what_is_expected_on_many_and_newest_first_only() -> None:
    collection = Collection([document(n, NOW - n * DAY) for n in range(30)])
    made = collection.pages(Windows(lambda: NOW))
    for where, order in ((Term((7,)), Order()), (HIT, Order("moment", descending=False)), (HIT, Order("updated"))):
        collection.asked.clear()
        await made.page(live(SCOPE, where), order, 5, None)
        assert collection.asked == [(None, 6)]


async def test_a_page_stops_behind_what_makes_it_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 10)
    collection = Collection([document(n, NOW - n, raw=b"12345678") for n in range(6)])
    page = await collection.pages().page(live(SCOPE, HIT), Order(), 5, None)
    assert [r.key for r in page.records] == ["P/000", "P/001"]
    assert page.more


async def test_outlines_and_counts_are_of_what_passes_the_check() -> None:
    collection = Collection([document(n, NOW - n, "shown5" if n % 2 else "hidden") for n in range(20)])
    asked = live(SCOPE, And((HIT, Checked(SHOWN))))
    made = collection.pages()
    assert [o.key for o in await made.outlines(asked, 100, terms=False, ranges=False)] == [
        f"P/{n:03}" for n in range(1, 20, 2)
    ]
    assert len(await made.outlines(asked, 6, terms=False, ranges=False)) == 6
    assert await made.count(asked, 0, in_transaction=False) == 10
    assert await made.count(asked, 4, in_transaction=False) == 4
    plain = live(SCOPE, HIT)
    assert await made.count(plain, 0, in_transaction=False) == 20
    assert await made.count(plain, 7, in_transaction=False) == 7
    assert await made.count(plain, 0, in_transaction=True) == 20
    assert await made.count(live(SCOPE, Term((9,))), 0, in_transaction=True) == 0


@pytest.mark.parametrize(("terms", "ranges"), [(False, False), (True, False), (False, True)])
async def test_an_outline_has_what_was_asked_for(terms: bool, ranges: bool) -> None:
    asked: list[Json] = []
    rows = Collection([document(1, NOW, "shown5")])

    async def find(collection: str, query: Json, projection: Json, limit: int, sort: Json | None = None) -> list[Json]:
        asked.append(projection)
        return await rows.find(collection, query, projection, limit, sort)

    made = Pages(find, rows.aggregate, rows.stream, rows.command, None, "x_a")
    (only,) = await made.outlines(live(SCOPE, HIT), 5, terms=terms, ranges=ranges)
    assert (only.key, only.updated, only.moment) == ("P/001", NOW, NOW)
    assert asked == [{"u": 1, "d": 1, **({"t": 1} if terms else {}), **({"s": 1} if ranges else {})}]
