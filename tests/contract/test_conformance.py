"""What api.conformance promises, on every database and with both drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from fhir_server.api.conformance import ConformanceState, Requirement, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.store.conformance import MongoConformance
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import MongoStore, connect

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", params=["mongojet", "pymongo"])
async def driver(request: pytest.FixtureRequest, engine_url: str) -> AsyncIterator[Driver]:
    made = await connect(engine_url, request.param)
    yield made
    await made.close()


@pytest.fixture
async def tenant(driver: Driver) -> AsyncIterator[Tenant]:
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    yield await store.create_tenant("one", os.urandom(32))
    await store.drop_everything()


@pytest.fixture
def states(driver: Driver) -> MongoConformance:
    return MongoConformance(driver)


async def test_what_nobody_changed_is_the_initial_state_and_no_news(states: MongoConformance, tenant: Tenant) -> None:
    assert await states.read(tenant) == ConformanceState()
    assert await states.news(tenant, 0) is None


async def test_every_touch_counts_also_when_they_race(states: MongoConformance, tenant: Tenant) -> None:
    await asyncio.gather(*(states.touch(tenant) for _ in range(8)))
    assert await states.news(tenant, 0) == ConformanceState(8)
    assert await states.news(tenant, 8) is None


async def test_a_policy_is_kept_and_counts_as_a_change(states: MongoConformance, tenant: Tenant) -> None:
    policy = ValidationPolicy("warn", (Requirement("Patient", ("http://x.test/a", "http://x.test/b"), "any", "warn"),))
    await states.touch(tenant)
    await states.set_policy(tenant, policy)
    await states.touch(tenant)
    assert await states.read(tenant) == ConformanceState(3, policy)
    assert policy.of("Patient") == policy.required
    assert policy.of("Observation") == ()
