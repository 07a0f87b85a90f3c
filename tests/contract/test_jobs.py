"""What api.ports.Jobs promises about jobs whose holders are lost, on every database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from fhir_server.api.ports import JobRecord
from fhir_server.api.tenant import Tenant
from fhir_server.store.jobs import LEASE_MS, MAX_ATTEMPTS, MongoJobs
from fhir_server.store.mongo import MongoStore, connect

pytestmark = pytest.mark.engine

LOST = LEASE_MS + 1


@pytest.fixture
async def queue(engine_url: str) -> AsyncIterator[tuple[MongoJobs, Tenant]]:
    driver = await connect(engine_url)
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    yield MongoJobs(driver), await store.create_tenant("one", os.urandom(32))
    await store.drop_everything()
    await store.close()


async def test_a_job_is_held_by_one_until_its_lease_runs_out(queue: tuple[MongoJobs, Tenant]) -> None:
    jobs, tenant = queue
    await jobs.add(tenant, JobRecord("a", "kind", "", {"x": 1}), 0)
    await jobs.add(tenant, JobRecord("a", "other", "", {}), 0)  # one that is queued already keeps its place
    held = await jobs.claim(tenant, "first", 1)
    assert held is not None
    assert (held.id, held.kind, held.input, held.attempts) == ("a", "kind", {"x": 1}, 1)
    assert await jobs.claim(tenant, "second", 2) is None
    assert await jobs.save(tenant, "a", "first", {"at": 5}, "half", 3)
    assert await jobs.claim(tenant, "second", LEASE_MS) is None
    taken = await jobs.claim(tenant, "second", 3 + LOST)
    assert taken is not None
    assert (taken.checkpoint, taken.message, taken.attempts) == ({"at": 5}, "half", 2)
    assert not await jobs.save(tenant, "a", "first", {"at": 6}, "more", 4 + LOST)
    await jobs.finish(tenant, "a", "first", "done", {}, 5 + LOST)
    found = await jobs.get(tenant, "a")
    assert found is not None
    assert (found.state, found.checkpoint) == ("running", {"at": 5})


async def test_a_claim_may_be_for_one_kind(queue: tuple[MongoJobs, Tenant]) -> None:
    jobs, tenant = queue
    for number, kind in enumerate(["import", "reindex", "import"]):
        await jobs.add(tenant, JobRecord(f"{number}", kind, "", {}), number)
    taken = [await jobs.claim(tenant, "w", 9, kind) for kind in ("reindex", "reindex", "", "import", "")]
    assert [job and job.id for job in taken] == ["1", None, "0", "2", None]


@pytest.mark.parametrize("comes_on", [False, True])
async def test_a_job_is_given_up_when_it_never_comes_on(queue: tuple[MongoJobs, Tenant], comes_on: bool) -> None:
    jobs, tenant = queue
    await jobs.add(tenant, JobRecord("a", "kind", "", {}), 0)
    now = 1
    for attempt in range(3 * MAX_ATTEMPTS):
        if await jobs.claim(tenant, f"w{attempt}", now) is None:
            break
        if comes_on:
            assert await jobs.save(tenant, "a", f"w{attempt}", {"at": attempt}, "", now)
        now += LOST
    found = await jobs.get(tenant, "a")
    assert found is not None
    assert (found.state, attempt) == (("running", 3 * MAX_ATTEMPTS - 1) if comes_on else ("failed", MAX_ATTEMPTS))
