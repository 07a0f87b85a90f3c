"""The order of a hierarchy beside a walk over it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.store import hierarchy
from fhir_server.store.hierarchy import Circle, Tangled, arrange

# Each concept has parents among those with a smaller number, and the numbers are then mixed up.
GRAPHS = st.integers(0, 25).flatmap(
    lambda n: st.tuples(
        st.tuples(*(st.lists(st.integers(0, i - 1), max_size=3, unique=True) if i else st.just([]) for i in range(n))),
        st.permutations(range(n)),
    )
)


def mixed(graph: tuple[tuple[list[int], ...], list[int]]) -> list[list[int]]:
    parents, names = graph
    made: list[list[int]] = [[] for _ in parents]
    for number, above in enumerate(parents):
        made[names[number]] = [names[p] for p in above]
    return made


def descendants(parents: list[list[int]], of: int) -> set[int]:
    found: set[int] = set()
    while True:
        more = {n for n, above in enumerate(parents) if n not in found and ({of} | found) & set(above)}
        if not more:
            return found
        found |= more


@given(GRAPHS)
def test_what_is_below_is_what_can_be_walked_to(graph: tuple[tuple[list[int], ...], list[int]]) -> None:
    parents = mixed(graph)
    made = arrange(parents)
    assert sorted(made.order) == list(range(len(parents)))
    for ordinal, concept in enumerate(made.order):
        spans = made.below.get(ordinal, ())
        below = {made.order[o] for first, last in spans for o in range(first, last + 1)}
        assert below == descendants(parents, concept)
        assert not parents[concept] or any(made.order.index(p) < ordinal for p in parents[concept])


def test_siblings_keep_their_order() -> None:
    assert list(arrange([[2], [2], [], [0], []]).order) == [2, 0, 3, 1, 4]


def test_in_a_tree_one_span_is_enough() -> None:
    made = arrange([[], [0], [0], [1], [1], [2]])
    assert made.below == {0: ((1, 5),), 1: ((2, 3),), 4: ((5, 5),)}


@pytest.mark.parametrize("parents", [[[0]], [[1], [0]], [[], [0, 2], [1]], [[], [], [1, 3], [2]]])
def test_a_circle_is_found(parents: list[list[int]]) -> None:
    with pytest.raises(Circle):
        arrange(parents)


def test_a_deep_hierarchy_is_no_recursion() -> None:
    count = 20_000
    made = arrange([[i - 1] if i else [] for i in range(count)])
    assert made.below[0] == ((1, count - 1),)


def test_a_hierarchy_of_too_many_spans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchy, "MAX_SPANS", 2)
    with pytest.raises(Tangled):
        arrange([[], [0], [0], [1], [1, 2], [2, 1]])
