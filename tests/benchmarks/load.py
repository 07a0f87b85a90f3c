"""Requests as fast as they are answered, over 16 connections that stay open. https://www.rfc-editor.org/rfc/rfc9112

It shares the machine with what it measures, so req/s say little; the CPU of the server is counted apart.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CONNECTIONS = 16
HOST = "127.0.0.1"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Load:
    """What came back: `seconds` of each answer, and how many were no success."""

    lasted: float = 0.0
    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def answers(self) -> int:
        """How many requests were answered."""
        return len(self.seconds)

    def percentile(self, share: float) -> float:
        """Return the time, in milliseconds, that this share of the answers stayed within."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def request(method: str, target: str, body: bytes = b"") -> bytes:
    """Return the bytes of one HTTP/1.1 request."""
    head = f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/fhir+json\r\n"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drive(port: int, requests: Sequence[bytes], seconds: float, connections: int = CONNECTIONS) -> Load:
    """Send the requests in turn, again and again, until the time is over."""
    load = Load()
    waiting = itertools.cycle(requests)
    began = time.monotonic()
    await asyncio.gather(*(_one(port, waiting, began + seconds, load) for _ in range(connections)))
    load.lasted = time.monotonic() - began
    return load


async def ask(port: int, sent: bytes) -> tuple[int, bytes]:
    """Send one request and return the status and body of the answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(sent)
        return await _answer(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def _one(port: int, waiting: Iterator[bytes], deadline: float, load: Load) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        while (sent := time.monotonic()) < deadline:
            writer.write(next(waiting))
            status, _ = await _answer(reader)
            load.seconds.append(time.monotonic() - sent)
            load.failed += status >= 300
    finally:
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    place = head.find(_LENGTH)
    if place < 0:
        raise ValueError("an answer without Content-Length, which this loader does not read")
    length = int(head[place + len(_LENGTH) : head.index(b"\r\n", place)])
    return int(head[9:12]), await reader.readexactly(length)
