"""What a search asks of the database is told search by search, and an answer that is no success is not passed over."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest

from fhir_server.store.mongo import MongoStore, connect
from fhir_server.testing.engine import test_engine_url as engine_url
from tests.benchmarks.asked import asking, line

pytestmark = pytest.mark.engine


async def test_the_commands_of_a_search_are_told() -> None:
    url, prefix = engine_url(), f"t{uuid4().hex[:12]}"
    try:
        async with asking(url, prefix) as ask:
            await ask("Patient?identifier=a")
            (step,) = await ask("Observation?status=final&_summary=count")
            with pytest.raises(httpx.HTTPStatusError, match="404"):
                await ask("Nothing?status=final")
    finally:
        driver = await connect(url)
        await MongoStore(driver, prefix).drop_everything()
        await driver.close()
    assert step.command["count"] == "resources"
    assert f"0 documents: {{'count': 'resources', 'query': {step.command['query']}" in line(step)
