"""The order of a hierarchy, in which what is below a concept is a few spans of neighbours.

Concepts are numbered as they are met going down from the roots, each once, so that whatever was met below a concept
stands right behind it. Only what hangs below a second parent elsewhere needs a span of its own; in a tree nothing does.
Agrawal, Borgida, Jagadish, "Efficient management of transitive relationships", https://doi.org/10.1145/67544.66950
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[int, int]

MAX_SPANS = 3_000_000  # of all concepts together; SNOMED CT needs under a million


class Circle(Exception):
    """A concept is above itself; `member` is one of the circle."""

    def __init__(self, member: int) -> None:
        self.member = member
        super().__init__(f"{member} is above itself")


class Tangled(Exception):
    """The hierarchy has so many concepts with several parents that it cannot be kept as spans."""


@dataclass(frozen=True)
class Hierarchy:
    """`order` lists the concepts by their ordinal, `below` the spans of each by its ordinal where there are any."""

    order: Sequence[int]
    below: dict[int, tuple[Span, ...]]


def arrange(parents: Sequence[Sequence[int]]) -> Hierarchy:
    """Return the hierarchy of concepts, given the parents of each by number. Raises Circle, Tangled."""
    children: list[Sequence[int]] = [()] * len(parents)  # most have none
    for child, above in enumerate(parents):
        for parent in above:
            known = children[parent]
            if isinstance(known, list):
                known.append(child)
            else:
                children[parent] = [child]
    order, last, finished = _walk([n for n, above in enumerate(parents) if not above], children)
    if len(order) < len(parents):
        ordinals = inverse(order, len(parents))
        raise Circle(next(n for n, ordinal in enumerate(ordinals) if ordinal < 0))
    return Hierarchy(order, _below(inverse(order, len(parents)), last, finished, children))


def _walk(roots: Sequence[int], children: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[int]]:
    """Return the concepts as they are met, the last ordinal met below each, and the concepts as they are left."""
    order: list[int] = []
    left: list[int] = []
    last = [-1] * len(children)  # -1 not met, -2 met and not left
    for root in roots:
        last[root] = -2
        order.append(root)
        path = [(root, iter(children[root]))]
        while path:
            concept, below = path[-1]
            for child in below:
                if last[child] == -2:
                    raise Circle(child)
                if last[child] == -1:
                    last[child] = -2
                    order.append(child)
                    path.append((child, iter(children[child])))
                    break
            else:
                last[concept] = len(order) - 1
                left.append(concept)
                path.pop()
    return order, last, left


def inverse(order: Sequence[int], count: int) -> list[int]:
    """Return the ordinal of each concept, -1 for one that is not in the order."""
    ordinals = [-1] * count
    for ordinal, concept in enumerate(order):
        ordinals[concept] = ordinal
    return ordinals


def _below(
    ordinals: Sequence[int], last: Sequence[int], left: Sequence[int], children: Sequence[Sequence[int]]
) -> dict[int, tuple[Span, ...]]:
    """Return the spans below each concept; each is looked at after all that is below it."""
    found: dict[int, tuple[Span, ...]] = {}
    total = 0
    for concept in left:
        if not children[concept]:
            continue
        own = ordinals[concept]
        spans = {(own + 1, last[concept])} if last[concept] > own else set()
        for child in children[concept]:
            ordinal = ordinals[child]
            if not own < ordinal <= last[concept]:
                spans.add((ordinal, last[child]))
            spans.update(s for s in found.get(ordinal, ()) if not own < s[0] <= s[1] <= last[concept])
        found[own] = merged(spans)
        total += len(found[own])
        if total > MAX_SPANS:
            raise Tangled
    return found


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in order, those that touch or overlap made one."""
    joined: list[Span] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            if end > joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return tuple(joined)
