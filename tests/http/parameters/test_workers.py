"""Several workers on one database: each follows what another one has put in force, and none writes by what is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.interactions import settling
from fhir_server.interactions.settling import Settler
from fhir_server.testing.client import FhirClient, fhir_client
from tests.http.parameters.conftest import EYE, found, made, parameter, patient, ready

Json = dict[str, Any]
COLORS = ("green", "brown", "blue")


@pytest.fixture
async def workers() -> AsyncIterator[list[FhirClient]]:
    """Three servers on one database, each as if in a process of its own."""
    prefix = f"t{uuid4().hex[:12]}"
    async with AsyncExitStack() as stack:
        given = {"database_prefix": prefix, "reindex_grace_seconds": "1"}
        yield [await stack.enter_async_context(fhir_client(**given)) for _ in range(3)]


def generation(client: FhirClient) -> int:
    services = client.app.services
    assert services is not None
    return services.editions.of(services.following.tenants()[0]).generation


async def test_the_others_hear_of_it_by_themselves(workers: list[FhirClient]) -> None:
    await made(workers[0], patient("a", "green"))
    for worker in workers:
        assert (await worker.get("Patient/a")).status_code == 200
    await made(workers[0], parameter())
    assert generation(workers[0]) == 1
    for _ in range(100):  # no request reminds them
        await asyncio.sleep(0.02)
        if {generation(w) for w in workers} == {1}:
            break
    assert [generation(w) for w in workers] == [1, 1, 1]
    for worker in workers:
        await ready(worker, "Patient?eye-color=green")
        assert await found(worker, "Patient?eye-color=green") == ["a"]


async def test_nothing_is_missed_while_all_of_them_write(workers: list[FhirClient]) -> None:
    """Before, while and after the parameter comes: then a search finds exactly what reading everything finds."""
    chance = random.Random(20240229)
    names = [f"p{n}" for n in range(60)]
    await made(workers[0], *(patient(name, chance.choice(COLORS)) for name in names))
    stopping = False

    async def write(worker: FhirClient, mine: list[str]) -> int:
        count = 0
        while not stopping:
            name = chance.choice(mine)
            if count % 7 == 3:
                bundle = [patient(name, chance.choice(COLORS)), patient(f"{name}-{count}", chance.choice(COLORS))]
                requests = [{"method": "PUT", "url": f"Patient/{p['id']}"} for p in bundle]
                entries = [{"resource": p, "request": r} for p, r in zip(bundle, requests, strict=True)]
                body = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
                assert (await worker.post("", body)).status_code == 200
            elif count % 11 == 5:
                assert (await worker.delete(f"Patient/{name}")).status_code == 204
            else:
                await made(worker, patient(name, chance.choice(COLORS)))
            count += 1
        return count

    writers = [asyncio.create_task(write(w, names[i::3])) for i, w in enumerate(workers)]
    await asyncio.sleep(0.3)
    await made(workers[0], parameter())
    await ready(workers[1], "Patient?eye-color=green", 30)
    await asyncio.sleep(0.5)
    stopping = True
    counts = await asyncio.gather(*writers)
    assert min(counts) > 20

    await _agrees(workers[2])


async def _agrees(client: FhirClient) -> None:
    """Check the searches against all resources there are."""
    await ready(client, "Patient?eye-color=green")
    everything = (await client.get("Patient?_count=1000")).json()
    assert not [link for link in everything["link"] if link["relation"] == "next"]
    eyes: dict[str, list[str]] = {color: [] for color in COLORS}
    for entry in everything["entry"]:
        (eye,) = entry["resource"]["extension"]
        assert eye["url"] == EYE
        eyes[eye["valueCode"]].append(entry["resource"]["id"])
    for color, ids in eyes.items():
        assert await found(client, f"Patient?eye-color={color}&_count=1000") == sorted(ids)
    assert await found(client, "Patient?eye-color:missing=true") == []


async def test_a_worker_that_did_not_hear_of_it_asks_before_it_writes(workers: list[FhirClient]) -> None:
    deaf = workers[1]
    for task in deaf.app._tasks:
        task.cancel()
    await made(workers[0], parameter())
    await asyncio.sleep(0.5)
    assert generation(deaf) == 0
    await made(deaf, patient("a", "green"))
    assert generation(deaf) == 1
    await ready(workers[0], "Patient?eye-color=green")
    assert await found(workers[0], "Patient?eye-color=green") == ["a"]


async def test_a_write_whose_writer_died_takes_effect_all_the_same(
    workers: list[FhirClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(workers[0], patient("a", "green"))
    settle = Settler.settle

    async def dies(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(Settler, "settle", dies)
    await made(workers[0], parameter())
    await asyncio.sleep(0.5)
    assert {generation(w) for w in workers} == {0}
    monkeypatch.setattr(Settler, "settle", settle)
    monkeypatch.setattr(settling, "ABANDONED_MS", 100)
    await ready(workers[2], "Patient?eye-color=green")
    assert await found(workers[2], "Patient?eye-color=green") == ["a"]


async def test_those_who_create_at_once_leave_one_set(workers: list[FhirClient]) -> None:
    await made(workers[0], patient("a", "green", gender="male"))
    many = [parameter(f"p{n}", expression="Patient.gender") for n in range(9)]
    await asyncio.gather(*(made(workers[n % 3], one) for n, one in enumerate(many)))
    for number, one in enumerate(many):
        await ready(workers[number % 3], f"Patient?{one['code']}=male")
        assert await found(workers[number % 3], f"Patient?{one['code']}=male") == ["a"]
