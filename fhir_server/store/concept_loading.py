"""The end of a load: batches in any order become blocks in the order of the hierarchy.

The batches are read once for codes and parents, and again for as many concepts at a time as fit into memory. What was
written when a process died is written anew.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from fhir_server.api.concepts import Progress, StoredSystem
from fhir_server.api.errors import Unprocessable
from fhir_server.store.concept_blocks import BLOCK, Json, block, folding, pieces, unpack, unpack_one
from fhir_server.store.driver import DURABLE, NAMESPACE_NOT_FOUND, DatabaseError, Driver
from fhir_server.store.hierarchy import Circle, Hierarchy, Tangled, arrange, inverse

MAX_HELD = 32_000_000  # bytes of concepts in memory at once
MAX_BATCHES = 10_000_000
WRITTEN = 40  # blocks in one command
INDEXES = [{"name": name, "key": {name: 1}} for name in ("c", "p", "k", "w")]


@dataclass
class _Outline:
    """The concepts of a load in the order in which they were given: code, codes of the parents, bytes."""

    fold: Callable[[str], str]
    codes: list[str] = field(default_factory=list)
    parents: list[tuple[str, ...]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    twice: str = ""

    def read(self, raw: bytes) -> None:
        """Take in a batch."""
        for concept in unpack([raw]):
            if self.numbers.setdefault(self.fold(concept.code), len(self.codes)) != len(self.codes):
                self.twice = self.twice or concept.code
            self.codes.append(concept.code)
            self.parents.append(concept.parents)
        self.sizes += (len(bytes(piece)) for found in pieces([raw]) for piece in found)

    def arranged(self) -> tuple[list[tuple[int, ...]], Hierarchy]:
        """Return the parents of each by number, those that are unknown left out, and the order that makes.

        What only that needed is let go: with some 100,000 concepts it is tens of megabytes.
        """
        known = self.numbers
        parents = [
            tuple(known[p] for p in dict.fromkeys(map(self.fold, above)) if p in known) for above in self.parents
        ]
        self.parents, self.numbers = [], {}
        return parents, arrange(parents)


@dataclass(frozen=True)
class Loading:
    """One load that is being finished."""

    driver: Driver
    database: str
    system: StoredSystem
    progress: Progress | None = None

    async def build(self) -> int:
        """Write the blocks and return how many concepts there are. Raises Unprocessable."""
        outline = _Outline(folding(self.system.is_case_sensitive))
        async for raw in self._batches():
            await to_thread(outline.read, raw)
            await self._tell(0, len(outline.codes))
        if outline.twice:
            self._refuse(f"the code {outline.twice[:64]} occurs twice")
        try:
            parents, hierarchy = await to_thread(outline.arranged)
        except Circle as circle:
            self._refuse(f"the concept {outline.codes[circle.member][:64]} is above itself")
        except Tangled:
            self._refuse("it has too many concepts with several parents")
        await drop(self.driver, self.database, self._target)
        await self._run({"create": self._target})
        # Before there is anything: SecantusDB builds an index in one transaction, which a large one never leaves.
        await self._run({"createIndexes": self._target, "indexes": INDEXES})
        ordinals = inverse(hierarchy.order, len(parents))
        for first, end in _portions(hierarchy.order, outline.sizes):
            held = await self._held(first, end, ordinals)
            for start in range(first, end, WRITTEN * BLOCK):
                some = range(start, min(start + WRITTEN * BLOCK, end))
                documents = await to_thread(self._blocks, some, held, outline, parents, hierarchy, ordinals)
                await self._run({"insert": self._target, "documents": documents, "writeConcern": DURABLE})
                await self._tell(some.stop, len(parents))
        return len(parents)

    async def _held(self, first: int, end: int, ordinals: Sequence[int]) -> dict[int, msgspec.Raw]:
        """Return the concepts of some ordinals as they were given."""
        held: dict[int, msgspec.Raw] = {}
        number = 0
        async for raw in self._batches():
            for piece in next(pieces([raw])):
                if first <= ordinals[number] < end:
                    held[ordinals[number]] = piece.copy()  # by itself, for the batch is let go
                number += 1
        return held

    def _blocks(
        self,
        some: range,
        held: dict[int, msgspec.Raw],
        outline: _Outline,
        parents: Sequence[Sequence[int]],
        hierarchy: Hierarchy,
        ordinals: Sequence[int],
    ) -> list[Json]:
        documents = []
        for start in range(some.start, some.stop, BLOCK):
            concepts, above = [], []
            for ordinal in range(start, min(start + BLOCK, some.stop)):
                concept = unpack_one(held.pop(ordinal))
                own = parents[hierarchy.order[ordinal]]
                concept.ordinal = ordinal
                concept.parents = tuple(outline.codes[n] for n in own)
                concept.below = tuple(n for span in hierarchy.below.get(ordinal, ()) for n in span)
                concepts.append(concept)
                above += [ordinals[n] for n in own]
            documents.append(block(start // BLOCK, concepts, above, outline.fold))
        return documents

    async def _batches(self) -> AsyncIterator[bytes]:
        name = f"loading_{self.system.key}"
        rows = self.driver.stream(self.database, name, {}, {"raw": 1}, MAX_BATCHES, {"_id": 1})
        async with aclosing(rows):
            async for row in rows:
                yield row["raw"]

    async def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            await self.progress(done, total)

    def _refuse(self, why: str) -> NoReturn:
        raise Unprocessable(f"The code system {self.system.url} cannot be put in force: {why}.")

    @property
    def _target(self) -> str:
        return f"concepts_{self.system.key}"

    async def _run(self, command: Json) -> None:
        await self.driver.command(self.database, command)


async def drop(driver: Driver, database: str, collection: str) -> None:
    """Remove a collection that may not be there."""
    try:
        await driver.command(database, {"drop": collection})
    except DatabaseError as error:
        if error.code != NAMESPACE_NOT_FOUND:
            raise


def _portions(order: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield [first, end) of ordinals, whole blocks whose concepts fit into memory together."""
    first = held = 0
    for start in range(0, len(order), BLOCK):
        own = sum(sizes[number] for number in order[start : start + BLOCK])
        if held and held + own > MAX_HELD:
            yield first, start
            first, held = start, 0
        held += own
    yield first, len(order)
