"""Sets of ordinals as spans [first, last] in order, none touching another: unions, differences, pages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]
Spans = tuple[Span, ...]


def joined(spans: Iterable[Span]) -> Spans:
    """Return spans in any order as a set."""
    made: list[Span] = []
    for first, last in sorted(spans):
        if made and first <= made[-1][1] + 1:
            if last > made[-1][1]:
                made[-1] = (made[-1][0], last)
        else:
            made.append((first, last))
    return tuple(made)


def of_ordinals(ordinals: Iterable[int]) -> Spans:
    """Return the set of single ordinals."""
    return joined((o, o) for o in ordinals)


def of_pairs(pairs: Sequence[int]) -> Spans:
    """Return [first, last, first, last...] as spans."""
    return tuple(zip(pairs[::2], pairs[1::2], strict=True))


def both(one: Spans, other: Spans) -> Spans:
    """Return what is in both sets."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(one: Spans, other: Spans) -> Spans:
    """Return what is in the first set alone."""
    if not other or not one:
        return one
    gaps, start = [], one[0][0]
    for first, last in other:
        if first > start:
            gaps.append((start, first - 1))
        start = max(start, last + 1)
    gaps.append((start, max(one[-1][1], start)))
    return both(one, tuple(gaps))


def size(spans: Spans) -> int:
    """Return how many ordinals there are."""
    return sum(last - first + 1 for first, last in spans)


def holds(spans: Spans, ordinal: int) -> bool:
    """Whether an ordinal is in the set."""
    at = bisect_right(spans, (ordinal, 1 << 62)) - 1
    return at >= 0 and ordinal <= spans[at][1]


def page(spans: Spans, offset: int, count: int) -> Spans:
    """Return the ordinals from an offset on."""
    found: list[Span] = []
    for first, last in spans:
        length = last - first + 1
        if offset >= length:
            offset -= length
            continue
        if count <= 0:
            break
        end = min(last, first + offset + count - 1)
        found.append((first + offset, end))
        count -= end - first - offset + 1
        offset = 0
    return tuple(found)


def portions(spans: Spans, count: int) -> Iterator[Spans]:
    """Yield the set in parts of so many ordinals."""
    for offset in range(0, size(spans), count):
        yield page(spans, offset, count)
