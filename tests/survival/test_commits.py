"""The database dies around a commit: whoever asked is told that nobody knows, and nothing is done twice.

https://www.mongodb.com/docs/manual/core/transactions-in-applications/
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.api.errors import Unavailable
from fhir_server.settings import Settings
from fhir_server.store.driver import Driver
from fhir_server.store.engine import Engine
from fhir_server.store.mongo import connect

pytestmark = [pytest.mark.survival, pytest.mark.engine]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    started = Engine(tmp_path, program=Settings.load().engine, cache_mb=64)
    started.start()
    yield started
    started.stop()


@pytest.mark.parametrize("name", ["mongojet", "pymongo"])
async def test_a_commit_nobody_knows_the_end_of_is_not_taken_for_one_to_try_again(engine: Engine, name: str) -> None:
    driver = await connect(engine.url, name)
    try:
        await driver.command("lost", {"create": "rows"})
        with pytest.raises(Unavailable, match="during the commit"):
            await commit_over_a_kill(driver, engine)
    finally:
        await driver.close()


async def commit_over_a_kill(driver: Driver, engine: Engine) -> None:
    async with driver.transaction() as session:
        await driver.command("lost", {"insert": "rows", "documents": [{"_id": 1}]}, session)
        await asyncio.to_thread(kill_and_await, engine)


def kill_and_await(engine: Engine) -> None:
    killed = engine.pid
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while engine.pid in (0, killed) or not engine.alive():
        assert time.monotonic() < deadline, "the database does not come back"
        time.sleep(0.05)
