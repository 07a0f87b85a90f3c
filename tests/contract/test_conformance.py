"""What api.conformance promises, on every database and with both drivers."""

from __future__ import annotations

import asyncio

import pytest

from fhir_server.api.conformance import ConformanceState, Requirement, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.store.conformance import MongoConformance
from fhir_server.store.driver import Driver

pytestmark = pytest.mark.engine


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
