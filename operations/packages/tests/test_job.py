"""The job of $package-install: alive while it waits, and gone when it is told to stop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from fhir_server.api import JobCancelled, Json, NotFound, OperationContext
from fhir_server.api.packages import Done, Package, Report, Terms, Wish
from operations.packages import install

GIVEN = {"name": "a.b", "version": "1.x", "url": "", "terms": {"upgrade": True}}


class Packaging:
    """api.packages.Packaging that waits for what it is told."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.asked: list[tuple[Wish, Terms]] = []
        self.is_stopped = False

    async def install(self, wish: Wish, terms: Terms, report: Report) -> Done:
        self.asked.append((wish, terms))
        await report("fetching a.b#1.2.0")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.is_stopped = True
            raise
        if wish.name == "none":
            raise NotFound("none")
        return Done((Package("a.b", "1.2.0", "key", "sha"),))


class Progress:
    """api.JobProgress that calls something at each save."""

    checkpoint: Json = {}  # noqa: RUF012  nothing is ever kept in it

    def __init__(self, at_save: Any) -> None:
        self.said: list[str] = []
        self._at_save = at_save

    async def save(self, checkpoint: Json, message: str) -> None:
        self.said.append(message)
        self._at_save(len(self.said))


@pytest.fixture
def packaging(monkeypatch: pytest.MonkeyPatch) -> Packaging:
    monkeypatch.setattr(install, "BEAT_SECONDS", 0.01)
    return Packaging()


@pytest.fixture
def context(calling: Any, packaging: Packaging) -> OperationContext:
    class Server:
        packages = packaging

    called: OperationContext = calling()
    return replace(called, server=cast(Any, Server()))


async def test_it_says_what_it_does_until_it_is_done(context: OperationContext, packaging: Packaging) -> None:
    def end(count: int) -> None:
        if count == 3:
            packaging.may_end.set()

    progress = Progress(end)
    done = await install.run(context, GIVEN, progress)
    assert done["parameter"][0]["name"] == "installed"
    assert packaging.asked == [(Wish("a.b", "1.x"), Terms(upgrade=True))]
    assert progress.said[:3] == ["fetching a.b#1.2.0"] * 3


async def test_told_to_stop_it_stops(context: OperationContext, packaging: Packaging) -> None:
    def stop(_: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        await install.run(context, GIVEN, Progress(stop))
    assert packaging.is_stopped


async def test_its_failure_is_the_installations(context: OperationContext, packaging: Packaging) -> None:
    packaging.may_end.set()
    with pytest.raises(NotFound):
        await install.run(context, {**GIVEN, "name": "none"}, Progress(lambda _: None))
