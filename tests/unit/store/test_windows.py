"""How far back a page is looked for, and what is learnt of it."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from fhir_server.api.records import UNDATED
from fhir_server.store import windows
from fhir_server.store.windows import FIRST_SPAN, MAX_REMEMBERED, MOST_SPAN, OPEN_END, WIDER, Windows

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000


@pytest.fixture
def known() -> Windows:
    return Windows(lambda: NOW)


def spans(known: Windows, key: str = "k", count: int = 20, upper: int | None = None, start: int = NOW) -> list[int]:
    """Return how far back from a start each window goes, but for the one without a bound."""
    lows = list(known.lows("g", key, count, upper))
    assert lows[-1] is None
    return [start - low for low in lows[:-1] if low is not None]


def test_what_is_not_known_is_looked_for_from_now_in_a_day_and_then_wider(known: Windows) -> None:
    found = spans(known)
    assert found[:3] == [FIRST_SPAN, WIDER * FIRST_SPAN, WIDER**2 * FIRST_SPAN]
    assert all(later == WIDER * earlier for earlier, later in pairwise(found))
    assert found[-1] < MOST_SPAN <= found[-1] * WIDER


def test_a_later_page_is_looked_for_from_where_the_last_one_ended(known: Windows) -> None:
    assert next(known.lows("g", "k", 20, NOW - 5 * DAY)) == NOW - 5 * DAY - FIRST_SPAN
    assert next(known.lows("g", "k", 20, NOW + 5 * DAY)) == NOW - FIRST_SPAN


def test_a_full_page_tells_how_dense_matches_are(known: Windows) -> None:
    moments = [NOW - n * DAY for n in range(20)]  # 19 days for 20
    known.learn("g", "k", moments, full=True)
    assert spans(known)[0] == int(2 * (19 * DAY / 20) * 20)
    assert spans(known, count=40)[0] == int(2 * (19 * DAY / 20) * 40)
    assert spans(known, "other")[0] == FIRST_SPAN


def test_matches_of_one_moment_are_looked_for_in_a_day_the_next_time_too(known: Windows) -> None:
    known.learn("g", "k", [NOW] * 20, full=True)
    assert spans(known)[0] == FIRST_SPAN
    known.learn("g", "k", [NOW, NOW - 1], full=True)
    assert spans(known)[0] == 60_000


def test_what_is_few_is_asked_for_without_a_window_the_next_time(known: Windows) -> None:
    known.learn("g", "k", [NOW, NOW - 1], full=False)
    assert list(known.lows("g", "k", 20, None)) == [None]


def test_the_newest_of_a_database_is_where_the_others_are_looked_for_too(known: Windows) -> None:
    then = NOW - 900 * DAY
    known.learn("g", "k", [then, then - DAY], full=True)
    assert next(known.lows("g", "other", 20, None)) == then - FIRST_SPAN
    assert next(known.lows("another", "other", 20, None)) == NOW - FIRST_SPAN


def test_the_newest_moment_stays_the_newest(known: Windows) -> None:
    known.learn("g", "k", [NOW, NOW - DAY], full=True)
    known.learn("g", "k", [NOW - 50 * DAY, NOW - 51 * DAY], full=True)
    assert next(known.lows("g", "k", 1, None)) == NOW - DAY


def test_open_ends_and_what_has_no_date_tell_nothing(known: Windows) -> None:
    known.learn("g", "k", [OPEN_END + 800_000_000, UNDATED, UNDATED], full=True)
    assert spans(known)[0] == FIRST_SPAN
    known.learn("g", "k", [OPEN_END + 800_000_000, NOW, NOW - DAY, UNDATED], full=True)
    assert spans(known, count=20)[0] == 20 * DAY
    known.learn("g", "old", [-DAY, -2 * DAY], full=True)
    assert next(known.lows("g", "old", 1, None)) == -2 * DAY


def test_no_more_is_remembered_than_there_is_room_for(known: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_REMEMBERED", 3)
    assert MAX_REMEMBERED == 20_000
    for name in ("a", "b", "c", "a", "d"):
        known.learn("g", name, [NOW, NOW - 2 * DAY], full=True)
    taught = {name: list(islice(known.lows("g", name, 10, None), 1)) for name in ("a", "b", "c", "d")}
    forgotten = [NOW - FIRST_SPAN]
    assert [name for name, lows in taught.items() if lows == forgotten] == ["b"]
