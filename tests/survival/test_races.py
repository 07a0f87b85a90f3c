"""Many clients want the same thing at the same moment, of two workers. https://hl7.org/fhir/R4/http.html#concurrency"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import RunningServer, running_server

pytestmark = [
    pytest.mark.survival,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processes are a server's"),
]

CREATORS = 64
UPDATERS = 32
# One round may pass by luck.
ROUNDS = 8
LEAST_PER_WORKER = 4
MOST_TRIES = 10
SYSTEM = "http://survival.example/id"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("races"), workers=2) as server:
        yield server


@asynccontextmanager
async def crowd(server: RunningServer, size: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Give clients that are all connected already, some to either worker: the system deals them out as it likes."""
    workers = server.workers()
    assert len(workers) == 2
    of_worker: dict[int, list[httpx.AsyncClient]] = {pid: [] for pid in workers}
    try:
        for _ in range(size * MOST_TRIES):
            before = _connections(workers[1])
            client = httpx.AsyncClient(base_url=server.url, timeout=60)
            of_worker[workers[0]].append(client)
            assert (await client.get("/Patient?_count=1")).status_code == 200
            if _connections(workers[1]) > before:
                of_worker[workers[1]].append(of_worker[workers[0]].pop())
            few, many = sorted(of_worker.values(), key=len)
            if len(few) >= LEAST_PER_WORKER and len(few) + len(many) >= size:
                break
        assert len(few) >= LEAST_PER_WORKER, f"connections per worker: {len(few)} and {len(many)}"
        yield [*few, *many][:size]
    finally:
        for client in [c for clients in of_worker.values() for c in clients]:
            await client.aclose()


async def test_racing_conditional_creates_make_exactly_one(two_workers: RunningServer) -> None:
    async with crowd(two_workers, CREATORS) as clients:
        for value in (f"wanted-{i}" for i in range(ROUNDS)):
            body = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}]}
            headers = {"if-none-exist": f"identifier={SYSTEM}|{value}"}
            answers = await asyncio.gather(*(c.post("/Patient", json=body, headers=headers) for c in clients))
            found = (await clients[0].get("/Patient", params={"identifier": f"{SYSTEM}|{value}"})).json()

            assert Counter(a.status_code for a in answers) == {201: 1, 200: CREATORS - 1}
            assert {a.json()["id"] for a in answers} == {found["entry"][0]["resource"]["id"]}
            assert len(found["entry"]) == 1


async def test_racing_conditional_creates_in_transactions_make_exactly_one(two_workers: RunningServer) -> None:
    async with crowd(two_workers, CREATORS) as clients:
        for value in (f"bundled-{i}" for i in range(ROUNDS)):
            answers = await asyncio.gather(*(c.post("", json=_bundle(value)) for c in clients))
            found = (await clients[0].get("/Patient", params={"identifier": f"{SYSTEM}|{value}"})).json()

            statuses = Counter(
                a.json()["entry"][0]["response"]["status"][:3] if a.status_code == 200 else a.text for a in answers
            )
            assert statuses == {"201": 1, "200": CREATORS - 1}
            assert len(found["entry"]) == 1


async def test_of_racing_updates_of_one_version_exactly_one_wins(two_workers: RunningServer) -> None:
    key = "Patient/contested"
    async with crowd(two_workers, UPDATERS) as clients:
        await clients[0].put(f"/{key}", json=_patient(key, []))
        updates = (
            client.put(f"/{key}", json=_patient(key, [str(i)]), headers={"if-match": 'W/"1"'})
            for i, client in enumerate(clients)
        )
        statuses = Counter(answer.status_code for answer in await asyncio.gather(*updates))

    assert statuses == {200: 1, 412: UPDATERS - 1}


async def test_racing_updates_that_try_again_lose_none(two_workers: RunningServer) -> None:
    key = "Patient/shared"
    async with crowd(two_workers, UPDATERS) as clients:
        await clients[0].put(f"/{key}", json=_patient(key, []))
        await asyncio.gather(*(_add(client, key, str(i)) for i, client in enumerate(clients)))
        final = (await clients[0].get(f"/{key}")).json()
        history = (await clients[0].get(f"/{key}/_history?_count=100")).json()["entry"]

    assert sorted(_values(final)) == sorted(map(str, range(UPDATERS)))
    assert [e["resource"]["meta"]["versionId"] for e in history] == [str(v) for v in range(UPDATERS + 1, 0, -1)]
    assert [len(_values(e["resource"])) for e in history] == list(range(UPDATERS, -1, -1))


async def _add(client: httpx.AsyncClient, key: str, value: str) -> None:
    """Add an identifier to whatever is there, as often as somebody else is faster."""
    for _ in range(UPDATERS * 4):
        read = await client.get(f"/{key}")
        wanted = _patient(key, [*_values(read.json()), value])
        answer = await client.put(f"/{key}", json=wanted, headers={"if-match": read.headers["etag"]})
        if answer.status_code != httpx.codes.PRECONDITION_FAILED:
            assert answer.status_code == 200, answer.text
            return
    raise AssertionError("somebody else was always faster")


def _bundle(value: str) -> Json:
    resource = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}]}
    request = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={SYSTEM}|{value}"}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": resource, "request": request}]}


def _patient(key: str, values: list[str]) -> Json:
    rows = [{"system": SYSTEM, "value": value} for value in values]
    return {"resourceType": "Patient", "id": key.partition("/")[2], **({"identifier": rows} if rows else {})}


def _values(patient: Json) -> list[str]:
    return [row["value"] for row in patient.get("identifier", [])]


def _connections(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
