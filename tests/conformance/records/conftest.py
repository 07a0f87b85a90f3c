"""Servers for real records, with `$everything` installed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from fhir_server.app import App
from fhir_server.fhir.definitions import r4
from fhir_server.http.logs import configure_logging
from fhir_server.kernel.registry import build
from fhir_server.settings import Settings
from fhir_server.testing.client import FhirClient
from fhir_server.testing.engine import test_engine_url
from operations.everything import OPERATION
from tests.conformance.records.synthea import Loaded, files, load


@asynccontextmanager
async def records_server() -> AsyncIterator[FhirClient]:
    """Start a server on a database of its own; what is installed on the machine does not matter to it."""
    given = {k: v for k, v in os.environ.items() if k in ("FHIR_MONGODB_DRIVER",)}
    settings = Settings.from_environment(
        {
            **given,
            "FHIR_MONGODB_URL": test_engine_url(),
            "FHIR_DATABASE_PREFIX": f"t{uuid4().hex[:12]}",
            "FHIR_LOG_LEVEL": "error",
        }
    )
    configure_logging(settings)
    app = App(settings, build([("everything", OPERATION)], r4().resource_types))
    await app.start()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=120) as http:
            yield FhirClient(app, http)
    finally:
        await app.drop_all_data()
        await app.stop()


@pytest.fixture
async def empty() -> AsyncIterator[FhirClient]:
    """A server with nothing in it."""
    async with records_server() as client:
        yield client


@pytest.fixture(scope="session")
async def hospital() -> AsyncIterator[tuple[FhirClient, list[Loaded]]]:
    """A server that was sent every Synthea file; tests only read from it."""
    if not files():
        pytest.skip("the Synthea patients are not in ../shared/data/synthea")
    async with records_server() as client:
        yield client, [await load(client, path.name, path.read_bytes()) for path in files()]
