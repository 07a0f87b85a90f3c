"""Reads by id and creates that arrive together become one command: it costs ten times what a document in it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from fhir_server.api.records import Stored

MAX_BATCH = 64

Json = dict[str, Any]
Fetch = Callable[[Sequence[str]], Awaitable[dict[str, Stored]]]
Insert = Callable[[Sequence[Json]], Awaitable[list[Exception | None]]]

_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


class _Queue(Generic[_Asked, _Given]):
    """Gathers what is asked while a command is under way, and sends it with the next one.

    A request never joins a command that was sent before it was made: a read must see every write acknowledged by then.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[_Asked, asyncio.Future[_Given]]] = []
        self._task: asyncio.Task[None] | None = None

    def ask(
        self, one: _Asked, send: Callable[[list[_Asked]], Awaitable[Sequence[_Given | Exception]]]
    ) -> asyncio.Future[_Given]:
        """Return the future of an answer; `send` runs a batch and gives an answer or an error for each, in order."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Given] = loop.create_future()
        self._waiting.append((one, future))
        if self._task is None:
            self._task = loop.create_task(self._drain(send))
        return future

    async def _drain(self, send: Callable[[list[_Asked]], Awaitable[Sequence[_Given | Exception]]]) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    answers = await send([one for one, _ in batch])
                except Exception as error:  # noqa: BLE001  everyone who waits gets the failure, whatever it is
                    answers = [error] * len(batch)
                for (_, future), answer in zip(batch, answers, strict=True):
                    _settle(future, answer)
        finally:
            self._task = None


def _settle(future: asyncio.Future[_Given], answer: _Given | Exception) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class Coalescer:
    """The queues of one process. Reads are kept apart by `group` (tenant and access): no answer depends on another's
    rights."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, _Queue[str, Stored | None]] = {}
        self._inserts: dict[str, _Queue[Json, None]] = {}

    def read(self, group: Hashable, fetch: Fetch, key: str) -> asyncio.Future[Stored | None]:
        """Return the future of a record; it is fetched with the next batch of its group."""
        queue = self._reads.get(group)
        if queue is None:
            queue = self._reads[group] = _Queue()

        async def send(keys: list[str]) -> list[Stored | None]:
            found = await fetch(keys)
            return [found.get(k) for k in keys]

        return queue.ask(key, send)

    def insert(self, database: str, insert: Insert, document: Json) -> asyncio.Future[None]:
        """Return the future of an insert, which fails with its own error alone."""
        queue = self._inserts.get(database)
        if queue is None:
            queue = self._inserts[database] = _Queue()
        return queue.ask(document, insert)
