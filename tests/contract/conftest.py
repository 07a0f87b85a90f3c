"""What the contracts of the store are held on: a tenant of its own, over each driver."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from fhir_server.api.tenant import Tenant
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import MongoStore, connect


@pytest.fixture(scope="module", params=["mongojet", "pymongo"])
async def driver(request: pytest.FixtureRequest, engine_url: str) -> AsyncIterator[Driver]:
    """A connected driver, one after the other."""
    made = await connect(engine_url, request.param)
    yield made
    await made.close()


@pytest.fixture
async def tenant(driver: Driver) -> AsyncIterator[Tenant]:
    """A tenant with nothing in it."""
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    yield await store.create_tenant("one", os.urandom(32))
    await store.drop_everything()
