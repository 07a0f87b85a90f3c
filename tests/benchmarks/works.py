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
from urllib.parse import parse_qsl

from pymongo import MongoClient

from fhir_server.api.criteria import Everything, Key
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.fhir.definitions import r4
from fhir_server.search.indexing import Indexer
from fhir_server.search.parameters import Parameters
from fhir_server.search.planning import Planner
from fhir_server.search.query import QueryParser
from fhir_server.store.documents import RESOURCES
from fhir_server.store.driver import Driver
from fhir_server.store.filters import guarded, live, split
from fhir_server.store.mongo import MongoStore, connect
from tests.benchmarks.load import request
from tests.benchmarks.patients import KINDS, LOINC, OBSERVATIONS, observation, transaction

Json = dict[str, Any]

NEWEST_FIRST: Json = {"d": -1, "_id": 1}
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

    def __init__(self, planner: Planner, tenant: Tenant, store: MongoStore) -> None:
        self._planner, self._scope = planner, Scope(tenant)
        self._records = store.records(self._scope)
        self.queries: list[Json] = []

    async def searches(self, name: str, targets: Sequence[str]) -> Work:
        """Return the work of searches written as `Observation?...`."""
        first = len(self.queries)
        for target in targets:
            self.queries.append(await self._query(target))
        return Work(name, _gets(targets), _finds(first, len(targets)))

    def reads(self, name: str, keys: Sequence[str]) -> Work:
        """Return the work of reads by key."""
        first = len(self.queries)
        for key in keys:
            asked = guarded(self._scope, Key((key,)))
            self.queries.append({"filter": asked, "sort": None, "limit": 1, "shown": 1})
        return Work(name, _gets(keys), _finds(first, len(keys)))

    async def _query(self, target: str) -> Json:
        resource_type, _, text = target.partition("?")
        query = self._planner.parser.parse(resource_type, parse_qsl(text), strict=True)
        where = await self._planner.plan(query, self._scope.tenant, self._records, 0, "")
        size = query.count or 0
        asked, _ = split(where)
        assert asked != Everything(), f"{target} must be a query of the index"
        return {"filter": live(self._scope, asked), "sort": NEWEST_FIRST, "limit": size + 1, "shown": size}


async def works(url: str) -> tuple[list[Work], Json]:
    """Return all works on the data that a server's database holds, and the limit's plan."""
    driver = await connect(url)
    try:
        return await _works(url, driver)
    finally:
        await driver.close()


async def _works(url: str, driver: Driver) -> tuple[list[Work], Json]:
    store = MongoStore(driver, PREFIX)
    tenant = await store.tenant("default")
    assert tenant is not None, "a server that started has made its tenant"
    definitions = r4()
    parameters = Parameters(definitions)
    planner = Planner(Indexer(definitions, parameters), QueryParser(parameters, definitions.resource_types))
    plan = Plan(planner, tenant, store)
    chance = random.Random(7)
    patients = await _keys(driver, tenant, "Patient")
    observations = chance.sample(await _keys(driver, tenant, "Observation"), SAMPLE)
    some = [observation(chance.choice(patients), n, chance) for n in range(50)]
    bundles = [json.dumps(transaction(n)).encode() for n in range(10_000, 10_010)]
    made = [
        plan.reads("read", observations),
        await plan.searches(
            "search patient + code, 20", [f"Observation?patient={p}&code={BODY_HEIGHT}&_count=20" for p in patients]
        ),
        await plan.searches("search patient, 100", [f"Observation?patient={p}&_count=100" for p in patients]),
        await plan.searches(
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
