"""Fixtures of all suites: one database for the run, and servers on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from fhir_server.testing.engine import test_engine_url

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def engine_url() -> str:
    """Where the test database is."""
    return test_engine_url()


@pytest.fixture(scope="session")
async def shared_server() -> AsyncIterator[FhirClient]:
    """A server for tests that do not mind each other's resources."""
    async with fhir_client() as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[FhirClient]:
    """A server with nothing in it."""
    async with fhir_client() as client:
        yield client


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test material, which is not part of the project."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the real test material (../shared/data) is not here")
    return folder
