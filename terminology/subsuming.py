"""Which of some codes subsume which, for code systems in memory and in the database."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter

from terminology.codesystem import CodeSystem
from terminology.stored import StoredCodeSystem, StoredNode

Pair = tuple[str, str]  # a code, and one that subsumes it


async def fetch(source: CodeSystem, codes: Iterable[str]) -> None:
    """Fetch many codes at once, so that `source.get` knows each of them."""
    if isinstance(source, StoredCodeSystem):
        await source.fetch(list(codes))


def pairs_with(source: CodeSystem, new: Collection[str], members: Collection[str]) -> Iterator[Pair]:
    """Yield the pairs of members, which were fetched, of which at least one is new."""
    if isinstance(source, StoredCodeSystem):
        yield from _of_spans(source, set(new), members)
        return
    known, fresh = set(members), set(new)
    for code in new:
        yield from ((code, above) for above in sorted(source.ancestors(code) & known))
        yield from ((below, code) for below in sorted(source.descendants(code) & known - fresh))


def _of_spans(source: StoredCodeSystem, new: set[str], members: Iterable[str]) -> Iterator[Pair]:
    """What is below a stored concept is some spans of ordinals: whoever has one of these is below it."""
    found = [node for code in members if isinstance(node := source.nodes.get(code), StoredNode)]
    everyone = sorted((node.ordinal, node.code) for node in found)
    fresh = [row for row in everyone if row[1] in new]
    for node in found:
        rows = everyone if node.code in new else fresh
        for first, last in node.below:
            start = bisect_left(rows, first, key=itemgetter(0))
            end = bisect_right(rows, last, key=itemgetter(0))
            yield from ((code, node.code) for _, code in rows[start:end])
