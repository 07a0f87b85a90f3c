"""Reads and creates that arrive together share a command, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from fhir_server.api import Duplicate, Stored
from fhir_server.store.coalesce import MAX_BATCH, Coalescer

Json = dict[str, Any]


class Database:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self, *keys: str) -> None:
        self.versions = dict.fromkeys(keys, 1)
        self.commands: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> dict[str, Stored]:
        """Return what there is at the time the command was sent."""
        self.commands.append(list(keys))
        found = {k: Stored(k, self.versions[k], 0, b"{}") for k in keys if k in self.versions}
        await self.open.wait()
        if self.failure:
            raise self.failure
        return found

    async def insert(self, documents: Sequence[Json]) -> list[Exception | None]:
        """Insert what is new."""
        self.commands.append([d["_id"] for d in documents])
        await self.open.wait()
        outcome: list[Exception | None] = []
        for document in documents:
            is_new = self.versions.setdefault(document["_id"], 0) == 0
            self.versions[document["_id"]] = 1
            outcome.append(None if is_new else Duplicate("there"))
        return outcome


async def turns() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_reads_that_arrive_together_are_one_command() -> None:
    database, coalescer = Database("a", "b"), Coalescer()
    answers = await asyncio.gather(*(coalescer.read("g", database.fetch, k) for k in ("a", "b", "c", "a")))
    assert [a.key if a else None for a in answers] == ["a", "b", None, "a"]
    assert database.commands == [["a", "b", "c", "a"]]


async def test_a_read_sees_what_was_written_before_it_was_asked() -> None:
    database, coalescer = Database("a"), Coalescer()
    database.open.clear()
    first = coalescer.read("g", database.fetch, "a")
    await turns()
    database.versions["a"] = 2
    second = coalescer.read("g", database.fetch, "a")
    database.open.set()
    read = await asyncio.gather(first, second)
    assert [r.version for r in read if r] == [1, 2]
    assert database.commands == [["a"], ["a"]]


async def test_groups_never_share_a_command() -> None:
    ours, theirs, coalescer = Database("a"), Database(), Coalescer()
    seen, unseen = await asyncio.gather(
        coalescer.read("ours", ours.fetch, "a"), coalescer.read("theirs", theirs.fetch, "a")
    )
    assert seen is not None
    assert unseen is None
    assert (ours.commands, theirs.commands) == ([["a"]], [["a"]])


async def test_a_command_has_a_bounded_size() -> None:
    keys = [str(n) for n in range(MAX_BATCH * 2 + 1)]
    database, coalescer = Database(*keys), Coalescer()
    answers = await asyncio.gather(*(coalescer.read("g", database.fetch, k) for k in keys))
    assert [a.key for a in answers if a] == keys
    assert [len(c) for c in database.commands] == [MAX_BATCH, MAX_BATCH, 1]


async def test_a_failure_reaches_everyone_who_waits_and_no_one_after() -> None:
    database, coalescer = Database("a"), Coalescer()
    database.failure = ConnectionError("away")
    failed = await asyncio.gather(*(coalescer.read("g", database.fetch, "a") for _ in range(3)), return_exceptions=True)
    assert failed == [database.failure] * 3
    database.failure = None
    assert await coalescer.read("g", database.fetch, "a") == Stored("a", 1, 0, b"{}")


async def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    database, coalescer = Database("a", "b"), Coalescer()
    database.open.clear()
    gone, stays = coalescer.read("g", database.fetch, "a"), coalescer.read("g", database.fetch, "b")
    await turns()
    gone.cancel()
    database.open.set()
    async with asyncio.timeout(5):
        assert await stays == Stored("b", 1, 0, b"{}")
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_each_insert_fails_by_itself() -> None:
    database, coalescer = Database("old"), Coalescer()
    outcome = await asyncio.gather(
        *(coalescer.insert("d", database.insert, {"_id": k}) for k in ("new", "old", "newer")), return_exceptions=True
    )
    assert outcome[0] is None
    assert isinstance(outcome[1], Duplicate)
    assert outcome[2] is None
    assert database.commands == [["new", "old", "newer"]]


async def test_databases_never_share_an_insert() -> None:
    ours, theirs, coalescer = Database(), Database(), Coalescer()
    await asyncio.gather(
        coalescer.insert("ours", ours.insert, {"_id": "a"}), coalescer.insert("theirs", theirs.insert, {"_id": "b"})
    )
    assert (ours.commands, theirs.commands) == ([["a"]], [["b"]])
