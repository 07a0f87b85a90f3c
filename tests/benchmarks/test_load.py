"""Both ways to send requests: all are sent in turn, and every answer is counted."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.benchmarks.load import Load, ask, drive, drive_here, request

Way = Callable[[int, Sequence[bytes], int, int], Awaitable[Load]]
REQUESTS = [request("GET", "/good"), request("POST", "/bad", b'{"a":1}')]


class Answering:
    """A server on a free port that answers 200 with two bytes, and 404 to a POST once it has its body."""

    def __init__(self) -> None:
        self.seen: Counter[bytes] = Counter()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                is_post = head.startswith(b"POST")
                body = await reader.readexactly(7) if is_post else b""
                self.seen[head.split()[1] + body] += 1
                status = b"404 Not Found" if is_post else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.mark.parametrize("way", [drive_here, drive], ids=["asyncio", "wrk"])
async def test_every_request_takes_its_turn_and_failures_are_counted(way: Way) -> None:
    if way is drive and shutil.which("wrk") is None:
        pytest.skip("wrk is not on the PATH")
    server = Answering()
    async with server as port:
        load = await way(port, REQUESTS, 1, 2)
    assert set(server.seen) == {b"/good", b'/bad{"a":1}'}
    assert 0 <= server.seen.total() - load.answers <= 3  # wrk does not wait for its last ones
    assert abs(load.answers - 2 * load.failed) <= 3


async def test_one_request_gives_its_status_and_body() -> None:
    async with Answering() as port:
        assert await ask(port, REQUESTS[1]) == (404, b"ok")
