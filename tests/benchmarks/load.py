"""Requests as fast as they are answered, over 16 connections that stay open. https://www.rfc-editor.org/rfc/rfc9112

wrk sends them where it is installed, for it leaves the server more of the machine; else asyncio does. The CPU of the
server is counted apart, so it is req/s and latencies that differ between the two.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
HOST = "127.0.0.1"
SCRIPT = Path(__file__).with_name("replay.lua")
WRK_TIMEOUT = 30
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """What came back in `seconds`: answers, those that were no success, and how many milliseconds they took."""

    answers: int
    failed: int
    seconds: float
    p50: float
    p99: float


def request(method: str, target: str, body: bytes = b"", *, more: str = "") -> bytes:
    """Return the bytes of one HTTP/1.1 request; `more` are header lines of its own, each with its line end."""
    head = f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/fhir+json\r\n{more}"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drive(port: int, requests: Sequence[bytes], seconds: int, connections: int = CONNECTIONS) -> Load:
    """Send the requests in turn, again and again, until the time is over."""
    if wrk := shutil.which("wrk"):
        return await _drive_wrk(wrk, port, requests, seconds, connections)
    return await drive_here(port, requests, seconds, connections)


async def drive_here(port: int, requests: Sequence[bytes], seconds: int, connections: int = CONNECTIONS) -> Load:
    """The same from this process, which needs nothing installed."""
    taken: list[float] = []
    failed: list[int] = []
    waiting = itertools.cycle(requests)
    began = time.monotonic()
    await asyncio.gather(*(_one(port, waiting, began + seconds, taken, failed) for _ in range(connections)))
    lasted = time.monotonic() - began
    taken.sort()
    p50, p99 = (1000 * taken[int(len(taken) * share)] if taken else 0.0 for share in (0.5, 0.99))
    return Load(len(taken), len(failed), lasted, p50, p99)


async def _drive_wrk(program: str, port: int, requests: Sequence[bytes], seconds: int, connections: int) -> Load:
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(b"%d\n%b" % (len(one), one) for one in requests)
        file.flush()
        options = ("-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{WRK_TIMEOUT}s", "-s", str(SCRIPT))
        process = await asyncio.create_subprocess_exec(
            *(program, *options, f"http://{HOST}:{port}", file.name), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, error = await process.communicate()
    last = out.decode().strip().rpartition("\n")[2].split()
    if process.returncode or last[:1] != ["result"]:
        raise RuntimeError(f"wrk failed: {error.decode()[:300]}")
    answers, failed, microseconds, p50, p99 = map(float, last[1:])
    return Load(int(answers), int(failed), microseconds / 1e6, p50 / 1000, p99 / 1000)


async def one_by_one(port: int, requests: Sequence[bytes], seconds: float, least: int = 0) -> list[float]:
    """Send the requests in turn, each when the last is answered; return how many seconds each took, in order of size.

    At least `least` are sent, unless they take ten times the time. Raises ValueError when one is no success.
    """
    taken: list[float] = []
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        began = time.monotonic()
        for sent in itertools.cycle(requests):
            lasted = (now := time.monotonic()) - began
            if lasted >= seconds and (len(taken) >= least or lasted >= 10 * seconds):
                break
            writer.write(sent)
            status, body = await _answer(reader)
            taken.append(time.monotonic() - now)
            if status >= 300:
                raise ValueError(f"{status} {body[:300].decode(errors='replace')}")
    finally:
        writer.close()
        await writer.wait_closed()
    return sorted(taken)


async def ask(port: int, sent: bytes) -> tuple[int, bytes]:
    """Send one request and return the status and body of the answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(sent)
        return await _answer(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def _one(port: int, waiting: Iterator[bytes], deadline: float, taken: list[float], failed: list[int]) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        while (sent := time.monotonic()) < deadline:
            writer.write(next(waiting))
            status, _ = await _answer(reader)
            taken.append(time.monotonic() - sent)
            if status >= 300:
                failed.append(status)
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
