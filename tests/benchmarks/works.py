"""The work that is measured: what is asked of the server, and the same work for the limit.

A read or a search is, for the limit, the very query that the server sends to the database, and nothing around it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from pymongo import MongoClient

from fhir_server.api.tenant import Tenant
from fhir_server.store.documents import RESOURCES
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import MongoStore, connect
from fhir_server.store.tracing import Step
from tests.benchmarks.asked import Ask, asking, line
from tests.benchmarks.load import request
from tests.benchmarks.patients import KINDS, LOINC, OBSERVATIONS, observation, transaction

Json = dict[str, Any]

PREFIX = "fhir"
SAMPLE = 300
BODY_HEIGHT = f"{LOINC}%7C{KINDS[0][0]}"


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the table. `resources` is how many a request writes, where it writes more than one."""

    name: str
    of_server: Sequence[bytes]
    of_limit: Sequence[bytes]
    connections: int = 16
    resources: int = 1


class Plan:
    """Collects the limit's queries while the works are put together."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.queries: list[Json] = []

    async def gets(self, name: str, targets: Sequence[str]) -> Work:
        """Return the work of reads and searches: what the server asks of the database once it has seen them all."""
        first = len(self.queries)
        for target in targets:
            await self._ask(target)
        for target in targets:
            self.queries.append(_query((await self._ask(target))[-1], target))
        return Work(name, _gets(targets), _finds(first, len(targets)))


def _query(step: Step, target: str) -> Json:
    asked = step.command
    if "find" not in asked:
        raise ValueError(f"{target} must be a query of the index, and is {line(step)}")
    given = parse_qs(target.partition("?")[2])
    shown = int(given["_count"][0]) if given else asked["limit"]
    return {"filter": asked["filter"], "sort": asked.get("sort"), "limit": asked["limit"], "shown": shown}


async def works(url: str) -> tuple[list[Work], Json]:
    """Return all works on the data that a server's database holds, and the limit's plan."""
    driver = await connect(url)
    try:
        async with asking(url, PREFIX) as ask:
            return await _works(url, driver, Plan(ask))
    finally:
        await driver.close()


async def _works(url: str, driver: Driver, plan: Plan) -> tuple[list[Work], Json]:
    tenant = await MongoStore(driver, PREFIX).tenant("default")
    assert tenant is not None, "a server that started has made its tenant"
    chance = random.Random(7)
    patients = await _keys(driver, tenant, "Patient")
    observations = chance.sample(await _keys(driver, tenant, "Observation"), SAMPLE)
    some = [observation(chance.choice(patients), n, chance) for n in range(50)]
    bundles = [json.dumps(transaction(n)).encode() for n in range(10_000, 10_010)]
    made = [
        await plan.gets("read", observations),
        await plan.gets(
            "search patient + code, 20", [f"Observation?patient={p}&code={BODY_HEIGHT}&_count=20" for p in patients]
        ),
        await plan.gets("search patient, 100", [f"Observation?patient={p}&_count=100" for p in patients]),
        await plan.gets(
            "search code + date, newest 50",
            [f"Observation?code={BODY_HEIGHT}&date=ge{y}-01-01&_sort=-date&_count=50" for y in range(2004, 2012)],
        ),
        _posts("create, validated", "/Observation", [json.dumps(one).encode() for one in some]),
        _posts("transaction Bundle, each resource", "", bundles, resources=OBSERVATIONS + 1, connections=2),
    ]
    return made, {"url": url, "database": tenant.database, "queries": plan.queries}


async def _keys(driver: Driver, tenant: Tenant, resource_type: str) -> list[str]:
    found = await driver.find(tenant.database, RESOURCES, {"y": resource_type}, {"_id": 1}, 10_000, {"_id": 1})
    return [d["_id"] for d in found]


def _gets(targets: Sequence[str]) -> list[bytes]:
    return [request("GET", f"/fhir/{target}") for target in targets]


def _finds(first: int, count: int) -> list[bytes]:
    return [request("GET", f"/find/{n}") for n in range(first, first + count)]


def _posts(name: str, path: str, bodies: Sequence[bytes], *, resources: int = 1, connections: int = 16) -> Work:
    return Work(
        name,
        [request("POST", f"/fhir{path}", body) for body in bodies],
        [request("POST", f"/insert/{resources}", body) for body in bodies],
        connections,
        resources,
    )


@contextmanager
def database_of(url: str) -> Iterator[Any]:
    """Give the database of the default tenant, to be looked at."""
    with MongoClient[Json](url) as client:
        yield client[f"{PREFIX}_default"]
