"""Sets of ordinals beside Python's own sets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from terminology import spans

SETS = st.sets(st.integers(0, 40))


def plain(found: spans.Spans) -> set[int]:
    return {o for first, last in found for o in range(first, last + 1)}


def is_normal(found: spans.Spans) -> bool:
    """Whether spans are in order and none touches the next."""
    return all(first <= last for first, last in found) and all(
        one[1] + 1 < other[0] for one, other in itertools.pairwise(found)
    )


@given(SETS, SETS)
def test_sets_do_what_sets_do(one: set[int], other: set[int]) -> None:
    left, right = spans.of_ordinals(one), spans.of_ordinals(other)
    made = {
        "joined": (spans.joined((*left, *right)), one | other),
        "both": (spans.both(left, right), one & other),
        "without": (spans.without(left, right), one - other),
    }
    for found, wanted in made.values():
        assert plain(found) == wanted
        assert is_normal(found)
        assert spans.size(found) == len(wanted)
    assert {o for o in range(-1, 42) if spans.holds(left, o)} == one


@given(SETS, st.integers(0, 45), st.integers(0, 45))
def test_pages_are_slices(one: set[int], offset: int, count: int) -> None:
    page = spans.page(spans.of_ordinals(one), offset, count)
    assert sorted(plain(page)) == sorted(one)[offset : offset + count]


@given(SETS, st.integers(1, 10))
def test_portions_are_all_of_it(one: set[int], count: int) -> None:
    parts = list(spans.portions(spans.of_ordinals(one), count))
    assert [o for part in parts for o in sorted(plain(part))] == sorted(one)
    assert all(spans.size(part) <= count for part in parts)


def test_pairs_are_spans() -> None:
    assert spans.of_pairs([1, 3, 7, 7]) == ((1, 3), (7, 7))
