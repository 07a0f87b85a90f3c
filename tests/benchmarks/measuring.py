"""One work after the other, the limit and the server in turn on one database, so that both see the same machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.load import Load, ask, drive
from tests.benchmarks.processes import cpu_seconds, ruler
from tests.benchmarks.works import Work

ROUNDS = 2
WARM_UP = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison: its port, its process and the process of the database."""

    port: int
    process: int
    database: int


@dataclass(slots=True)
class Cost:
    """What a work cost on one side: CPU in ruler-scaled microseconds for each request, or resource written."""

    process: float = 0.0
    database: float = 0.0
    requests: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0

    @property
    def total(self) -> float:
        """Server and database together."""
        return self.process + self.database

    @property
    def per_second(self) -> float:
        """How many requests, or resources written, were answered in a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Row:
    """A work measured on both sides. `entries` is how many resources an answer holds."""

    name: str
    entries: int
    limit: Cost
    server: Cost

    @property
    def ratio(self) -> float:
        """How many times the limit's CPU the server takes."""
        return self.server.total / self.limit.total


async def measure(work: Work, limit: Side, server: Side, seconds: int) -> Row:
    """Measure one work in several short rounds. Raises ValueError if an answer is not what the work is."""
    entries = await _check(work, limit, server)
    costs = (Cost(), Cost())
    for _ in range(ROUNDS):
        for side, requests, cost in ((limit, work.of_limit, costs[0]), (server, work.of_server, costs[1])):
            await _round(work, side, requests, seconds, cost)
    for cost in costs:
        cost.process *= 1e6 / cost.requests
        cost.database *= 1e6 / cost.requests
    return Row(work.name, entries, *costs)


async def _round(work: Work, side: Side, requests: Sequence[bytes], seconds: int, cost: Cost) -> None:
    await drive(side.port, requests, WARM_UP, work.connections)
    slowness = ruler()
    before = cpu_seconds([side.process]), cpu_seconds([side.database])
    load = await drive(side.port, requests, seconds, work.connections)
    after = cpu_seconds([side.process]), cpu_seconds([side.database])
    slowness = (slowness + ruler()) / 2
    _refuse_failures(work, load)
    cost.process += (after[0] - before[0]) / slowness
    cost.database += (after[1] - before[1]) / slowness
    cost.requests += load.answers * work.resources
    cost.seconds += load.seconds
    cost.p50, cost.p99 = load.p50, load.p99


async def _check(work: Work, limit: Side, server: Side) -> int:
    """Both sides must give the same number of resources, or the ratio would compare different works."""
    wanted, got = [await _entries(work, side, r[0]) for side, r in ((limit, work.of_limit), (server, work.of_server))]
    if b"?" in work.of_server[0].partition(b"\r\n")[0] and (got == 0 or wanted != got):
        raise ValueError(f"{work.name}: the limit gives {wanted} resources and the server {got}")
    return got


async def _entries(work: Work, side: Side, sent: bytes) -> int:
    status, body = await ask(side.port, sent)
    if status >= 300:
        raise ValueError(f"{work.name}: {status} {body[:300].decode(errors='replace')}")
    answer = json.loads(body)
    return len(answer.get("entry", ())) if answer.get("type") == "searchset" else 0


def _refuse_failures(work: Work, load: Load) -> None:
    if load.failed or not load.answers:
        raise ValueError(f"{work.name}: {load.failed} of {load.answers} answers were no success")
