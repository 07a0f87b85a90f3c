"""Reads by id that arrive together become one query: a command costs ten times what a document in it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence

from fhir_server.api.records import Stored

MAX_BATCH = 64

Fetch = Callable[[Sequence[str]], Awaitable[dict[str, Stored]]]


class Coalescer:
    """Gathers the keys asked for while a query is under way and fetches them together in the next one.

    Batches are kept apart by `group` (tenant and access), so that nobody's answer depends on another's rights. A read
    never joins a query that was sent before it was asked: it must see every write acknowledged until then.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[Fetch, dict[str, asyncio.Future[Stored | None]]]] = {}
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    def read(self, group: Hashable, fetch: Fetch, key: str) -> asyncio.Future[Stored | None]:
        """Return the future of a record; it is fetched with the next batch of its group."""
        _, waiting = self._waiting.setdefault(group, (fetch, {}))
        future = waiting.get(key)
        if future is None:
            future = waiting[key] = asyncio.get_running_loop().create_future()
        if group not in self._running:
            self._running[group] = asyncio.get_running_loop().create_task(self._drain(group))
        return future

    async def _drain(self, group: Hashable) -> None:
        try:
            while group in self._waiting:
                fetch, waiting = self._waiting.pop(group)
                keys = list(waiting)
                for start in range(0, len(keys), MAX_BATCH):
                    batch = keys[start : start + MAX_BATCH]
                    await _answer(fetch, {key: waiting[key] for key in batch})
        finally:
            del self._running[group]


async def _answer(fetch: Fetch, waiting: dict[str, asyncio.Future[Stored | None]]) -> None:
    try:
        found = await fetch(list(waiting))
    except Exception as error:  # noqa: BLE001  every waiting reader gets the failure, whatever it is
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)
        return
    for key, future in waiting.items():
        if not future.done():
            future.set_result(found.get(key))
