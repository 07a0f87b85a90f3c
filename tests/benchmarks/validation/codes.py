"""What answers about codes cost over HTTP: an imaginary code system of 100,000 concepts, in the concept store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fhir_server.api import StoredConcept
from fhir_server.store.concepts import MongoConceptStore
from fhir_server.store.mongo import MongoStore, connect
from tests.benchmarks.load import ask, one_by_one, request
from tests.benchmarks.processes import cpu_seconds, ruler

Json = dict[str, Any]
SYSTEM = "http://benchmark.example/CodeSystem/things"
ALL, BRANCH = "http://benchmark.example/ValueSet/all", "http://benchmark.example/ValueSet/branch"
CONCEPTS, BRANCHES, BATCH, PAGE = 100_000, 100, 1_000, 1_000
_WORDS = ("red", "green", "blue", "round", "square", "long", "short", "old", "new", "plain")


@dataclass(frozen=True, slots=True)
class Answer:
    """One question: milliseconds a client waits, and ruler-scaled CPU microseconds of server and database."""

    name: str
    codes: int
    p50: float
    p95: float
    process: float
    database: float


async def load(url: str, prefix: str) -> tuple[float, float]:
    """Load the code system into the default tenant; return the seconds it took and the bytes it has in the database."""
    driver = await connect(url)
    try:
        tenant = await MongoStore(driver, prefix).tenant("default")
        assert tenant is not None
        concepts = MongoConceptStore(driver).of(tenant)
        began = time.monotonic()
        head: Json = {"resourceType": "CodeSystem", "url": SYSTEM, "version": "1", "name": "Things", "status": "active"}
        head |= {"content": "complete", "hierarchyMeaning": "is-a", "caseSensitive": True}
        system = await concepts.begin(head, by="benchmark", now=0)
        for number, batch in enumerate(_batches()):
            await concepts.add(system.key, number, batch)
        await concepts.finish(system.key, now=0)
        seconds = time.monotonic() - began
        found = await driver.command(tenant.database, {"dbStats": 1})
        return seconds, float(found.get("dataSize", 0)) + float(found.get("indexSize", 0))
    finally:
        await driver.close()


def _batches() -> Iterator[list[StoredConcept]]:
    for first in range(0, CONCEPTS, BATCH):
        yield [_concept(number) for number in range(first, min(first + BATCH, CONCEPTS))]


def _concept(number: int) -> StoredConcept:
    """Return a concept: the first hundred are branches, every other stands under one of them."""
    words = (_WORDS[number % 10], _WORDS[number // 10 % 10], _WORDS[number // 100 % 10])
    parents = (f"T{number % BRANCHES}",) if number >= BRANCHES else ()
    return StoredConcept(code=f"T{number}", display=f"A {' '.join(words)} thing, number {number}", parents=parents)


def value_sets() -> list[Json]:
    """Return the value sets: the whole system, and one branch of it."""
    below = {"property": "concept", "op": "is-a", "value": "T7"}
    includes = ((ALL, "all", {"system": SYSTEM}), (BRANCH, "branch", {"system": SYSTEM, "filter": [below]}))
    return [
        {"resourceType": "ValueSet", "id": name, "url": url, "status": "active", "compose": {"include": [include]}}
        for url, name, include in includes
    ]


async def answers(port: int, worker: int, database: int, seconds: float) -> list[Answer]:
    """Ask every question again and again. Raises ValueError for an answer that is not the right one."""
    everything, branch, system = quote(ALL, safe=""), quote(BRANCH, safe=""), quote(SYSTEM, safe="")
    common = f"ValueSet/$expand?url={everything}&filter=red+old+plain"
    page = f"ValueSet/$expand?url={everything}&count={PAGE}&offset="
    rows: tuple[tuple[str, int, Sequence[str]], ...] = (
        ("`$expand`, 1,000 codes of 100,000", PAGE, [f"{page}{n * PAGE}" for n in range(100)]),
        ("`$expand`, a branch of 1,000", PAGE, [f"ValueSet/$expand?url={branch}"]),
        ("`$expand`, filter of a rare word", -1, [f"ValueSet/$expand?url={everything}&filter=4711&count=20"]),
        ("`$expand`, filter of three common words", -1, [f"{common}&count=20"]),
        ("`$validate-code` in the whole", 0, [_checked(everything, system, n) for n in range(0, CONCEPTS, 997)]),
        ("`$validate-code` in a branch", 0, [_checked(branch, system, 7 + n * BRANCHES) for n in range(1, 900, 7)]),
        ("`$lookup`", 0, [f"CodeSystem/$lookup?system={system}&code=T{n}" for n in range(0, CONCEPTS, 997)]),
        ("`$subsumes`", 0, [f"CodeSystem/$subsumes?system={system}&codeA=T7&codeB=T{n}07" for n in range(1, 900, 7)]),
    )
    return [await _answer(row, port, worker, database, seconds) for row in rows]


def _checked(value_set: str, system: str, number: int) -> str:
    return f"ValueSet/$validate-code?url={value_set}&system={system}&code=T{number}"


async def _answer(row: tuple[str, int, Sequence[str]], port: int, worker: int, database: int, seconds: float) -> Answer:
    name, wanted, targets = row
    requests = [request("GET", f"/fhir/{target}") for target in targets]
    codes = await _right(name, wanted, port, requests[0])
    await one_by_one(port, requests, 0.5)
    slowness, before = ruler(), (cpu_seconds([worker]), cpu_seconds([database]))
    taken = await one_by_one(port, requests, seconds)
    after, slowness = (cpu_seconds([worker]), cpu_seconds([database])), (slowness + ruler()) / 2
    process, db = ((b - a) / slowness * 1e6 / len(taken) for a, b in zip(before, after, strict=True))
    p50, p95 = (1000 * taken[int(len(taken) * part)] for part in (0.5, 0.95))
    return Answer(name, codes, p50, p95, process, db)


async def _right(name: str, wanted: int, port: int, sent: bytes) -> int:
    status, body = await ask(port, sent)
    found = json.loads(body)
    if status != 200:
        raise ValueError(f"{name}: {status} {body[:300].decode(errors='replace')}")
    codes = _count(found.get("expansion", {}))
    says_no = any(row.get("name") == "result" and not row["valueBoolean"] for row in found.get("parameter", ()))
    if says_no or (wanted > 0 and codes != wanted) or (wanted < 0 and not codes):
        raise ValueError(f"{name}: not the right answer: {body[:300].decode(errors='replace')}")
    return codes


def _count(row: Json) -> int:
    """Return how many codes there are below a row of an expansion."""
    return sum(1 + _count(inner) for inner in row.get("contains", ()))
