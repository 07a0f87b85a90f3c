"""The gate before transactions: how many entries may be on their way into the database at once.

An open transaction holds what it wrote in the database's cache; several large ones at a time would fill it and be
rolled back. https://www.mongodb.com/docs/manual/core/transactions-production-consideration/
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# About 20 MB of resources with their index: a small share of the smallest cache a database is run with (256 MB).
MAX_ENTRIES = 5_000


class Gate:
    """Lets transactions in by their size, first come first served. One larger than the gate goes alone."""

    def __init__(self, room: int = MAX_ENTRIES) -> None:
        self._size = room
        self._room = room
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def admitted(self, entries: int) -> AsyncIterator[None]:
        """Wait until there is room for that many entries, and hold it."""
        need = min(entries, self._size)
        if self._queue or need > self._room:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append((need, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave(need)
                raise
        else:
            self._room -= need
        try:
            yield
        finally:
            self._leave(need)

    def _leave(self, room: int) -> None:
        self._room += room
        while self._queue:
            need, turn = self._queue[0]
            if turn.cancelled():
                self._queue.popleft()
            elif need <= self._room:
                self._queue.popleft()
                self._room -= need
                turn.set_result(None)
            else:
                return
