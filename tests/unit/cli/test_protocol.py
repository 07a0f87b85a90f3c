"""The time a request's head may take, over a socket. https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from fhir_server.cli.protocol import BoundedProtocol

HEAD_SECONDS = 0.3
A_DRIP = 0.02
PATIENCE = 5.0
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
LATE = b"HTTP/1.1 408 "

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Hasty(BoundedProtocol):
    """Has less patience than the real one."""

    head_seconds = HEAD_SECONDS


async def slow_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer after a while that is longer than a head may take."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(HEAD_SECONDS * 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def listening() -> AsyncIterator[Connect]:
    """Listen with the protocol and hand out connections."""
    config = uvicorn.Config(slow_app, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60)
    config.load()
    state = ServerState()
    writers: list[asyncio.StreamWriter] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Hasty(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte now and then, without end: the last one again and again."""
    while True:
        writer.write(data[:1])
        data = data[1:] or data
        await asyncio.sleep(A_DRIP)


async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> tuple[bytes, float]:
    """Drip and return what was answered before the server closed, and after how many seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    dripping = asyncio.create_task(drip(writer, data))
    try:
        answer = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while chunk := await reader.read(1000):
                    answer += chunk
            except ConnectionError:
                pass
        return answer, loop.time() - began
    finally:
        dripping.cancel()


@pytest.mark.parametrize(
    ("before", "data", "answer"),
    [
        (b"", b"GET /" + b"a" * 1000, LATE),
        (b"", REQUEST[:30] + b"x" * 1000, LATE),
        (b"", b"\r\n" * 1000, b""),
        (REQUEST, b"GET /" + b"a" * 1000, LATE),
        (REQUEST, b"\r\n" * 1000, b""),
    ],
)
async def test_a_head_that_drips_is_ended(before: bytes, data: bytes, answer: bytes) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        if before:
            writer.write(before)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        got, seconds = await until_closed(reader, writer, data)
        assert got[:13] == answer
        assert seconds > HEAD_SECONDS * 0.8


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with listening() as connect:
        reader, _ = await connect()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""


async def test_a_head_in_time_has_time_for_its_body_and_its_answer_and_the_connection_stays() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(REQUEST[:20])
            await asyncio.sleep(A_DRIP)
            writer.write(REQUEST[20:-1])
            await asyncio.sleep(HEAD_SECONDS * 2)
            writer.write(REQUEST[-1:])
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(HEAD_SECONDS * 2)


async def test_half_a_head_behind_a_request_does_not_end_its_answer() -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(REQUEST + REQUEST[:20])
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).partition(b"ok")[2][:13] == LATE
