"""The job: taken up where it was, cancelled without a trace, and never in the way of another worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from fhir_server.api import (
    InvalidRequest,
    Issue,
    JobCancelled,
    JobLost,
    Json,
    NotFound,
    OperationContext,
    Parameters,
    Reading,
    Server,
    StoredConcept,
    StoredSystem,
    Unprocessable,
)
from terminology.operations.load import running

GIVEN: Json = {
    "source": "file:///x/t.csv", "format": "csv", "lenient": False, "system": "http://example.org/s", "version": "1",
    "module": "", "delimiter": "", "encoding": "", "languages": [], "columns": [],
}  # fmt: skip


@dataclass
class Kept:
    """Stored code systems in memory. `add` waits for ever when `stuck_at` is reached."""

    systems: dict[str, StoredSystem] = field(default_factory=dict)
    batches: dict[str, dict[int, list[StoredConcept]]] = field(default_factory=dict)
    added: list[int] = field(default_factory=list)
    stuck_at: int = -1
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def all(self) -> list[StoredSystem]:
        return list(self.systems.values())

    async def begin(self, head: Json, *, by: str, now: int) -> StoredSystem:
        key = f"k{len(self.batches)}"
        self.systems[key] = StoredSystem(key, head["url"], head["version"], head, by=by, started=now)
        self.batches[key] = {}
        return self.systems[key]

    async def add(self, key: str, batch: int, concepts: Sequence[StoredConcept]) -> None:
        if batch == self.stuck_at:
            self.reached.set()
            await asyncio.Event().wait()
        if key not in self.systems:
            raise NotFound("abandoned")
        self.added.append(batch)
        self.batches[key][batch] = list(concepts)

    async def finish(
        self, key: str, *, now: int, progress: Callable[[int, int], Awaitable[None]] | None = None
    ) -> StoredSystem:
        old = self.systems[key]
        count = sum(map(len, self.batches[key].values()))
        self.systems[key] = StoredSystem(key, old.url, old.version, old.head, count, "ready", old.started, now)
        return self.systems[key]

    async def remove(self, key: str) -> bool:
        return self.systems.pop(key, None) is not None


@dataclass
class Library:
    concepts: Kept


@dataclass
class Host:
    """As much of a server as the job asks for."""

    content: bytes
    library: Library

    def now(self) -> int:
        return 7

    async def validate(self, resource: Json) -> list[Issue]:
        bad = Issue("invalid", "This is no URI.", "CodeSystem.url")
        return [] if ":" in resource["url"] else [bad, Issue("invalid", "No title.", severity="warning")]

    async def open_source(self, url: str) -> AsyncGenerator[bytes, None]:
        if not self.content:
            raise InvalidRequest("The file is gone.")
        yield self.content


@dataclass
class Line:
    """A job's progress: what was saved, and what the queue answers."""

    checkpoint: Json = field(default_factory=dict)
    ends: type[Exception] | None = None
    messages: list[str] = field(default_factory=list)

    async def save(self, checkpoint: Json, message: str) -> None:
        if self.ends is not None:
            raise self.ends
        self.checkpoint = checkpoint
        self.messages.append(message)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(running, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(running, "BATCH", 10)


ROWS = b"code,display\n" + b"".join(b"c%d,Concept %d\n" % (n, n) for n in range(45))


def started(kept: Kept, line: Line, content: bytes = ROWS, **given: Any) -> asyncio.Task[Json]:
    host = cast(Server, Host(content, Library(kept)))
    context = OperationContext("CodeSystem", "", Parameters(), cast(Reading, None), host)
    return asyncio.create_task(running.run(context, {**GIVEN, **given}, line))


async def test_a_load_from_beginning_to_end() -> None:
    kept, line = Kept(), Line()
    told = await started(kept, line)
    assert told["parameter"] == [
        {"name": "url", "valueUri": "http://example.org/s"},
        {"name": "version", "valueString": "1"},
        {"name": "concepts", "valueInteger": 45},
    ]
    assert kept.added == [0, 1, 2, 3, 4]
    assert [one.code for one in kept.batches["k0"][4]] == ["c40", "c41", "c42", "c43", "c44"]


async def test_a_worker_that_is_stopped_leaves_what_another_goes_on_with() -> None:
    kept, line = Kept(stuck_at=3), Line()
    first = started(kept, line)
    await kept.reached.wait()
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (line.checkpoint, kept.systems["k0"].state) == ({"key": "k0", "batches": 3}, "loading")
    assert "20 concepts" in line.messages or "30 concepts" in line.messages
    kept.stuck_at, kept.added = -1, []
    told = await started(kept, Line(line.checkpoint))
    assert kept.added == [3, 4]
    assert told["parameter"][2]["valueInteger"] == 45
    assert list(kept.systems) == ["k0"]


async def test_one_that_was_finished_but_not_told_is_not_done_again() -> None:
    kept, line = Kept(), Line()
    await started(kept, line)
    kept.added = []
    told = await started(kept, Line({"key": "k0", "batches": 5}))
    assert (kept.added, told["parameter"][2]["valueInteger"]) == ([], 45)


async def test_one_whose_beginning_is_gone_begins_anew() -> None:
    kept = Kept()
    await started(kept, Line({"key": "gone", "batches": 4}))
    assert kept.added == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("ends", "left"), [(JobCancelled, []), (JobLost, ["k0"])])
async def test_what_is_cancelled_is_removed_and_what_another_has_is_not(ends: type[Exception], left: list[str]) -> None:
    kept, line = Kept(stuck_at=2), Line()
    task = started(kept, line)
    await kept.reached.wait()
    line.ends = ends
    with pytest.raises(JobCancelled):
        await task
    assert list(kept.systems) == left


async def test_a_refused_release_leaves_nothing_and_the_old_one_in_force() -> None:
    kept = Kept()
    await started(kept, Line())
    with pytest.raises(Unprocessable) as refused:
        await started(kept, Line(), ROWS + b"c1,again\n,\n")
    assert [issue.location for issue in refused.value.issues] == ["t.csv, line 47", "t.csv, line 48"]
    assert [(one.key, one.state) for one in kept.systems.values()] == [("k0", "ready")]
    with pytest.raises(InvalidRequest, match="gone"):
        await started(kept, Line(), b"")
    assert list(kept.systems) == ["k0"]


async def test_a_head_that_is_no_code_system_is_refused() -> None:
    kept = Kept()
    with pytest.raises(Unprocessable) as refused:
        await started(kept, Line(), system="no uri")
    assert [issue.expression for issue in refused.value.issues] == ["CodeSystem.url"]
    assert kept.batches == {}


async def test_nothing_more_is_kept_of_a_release_that_is_refused_already() -> None:
    kept = Kept()
    with pytest.raises(Unprocessable):
        await started(kept, Line(), b"code,display\nx\n" + ROWS.partition(b"\n")[2])
    assert kept.added == []


async def test_an_unfinished_load_of_the_same_version_gives_way() -> None:
    kept = Kept(stuck_at=1)
    first = started(kept, Line())
    await kept.reached.wait()
    kept.stuck_at = -1
    await started(kept, Line(), version="2")
    assert sorted(kept.systems) == ["k0", "k1"]
    await started(kept, Line())
    assert sorted(kept.systems) == ["k1", "k2"]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
