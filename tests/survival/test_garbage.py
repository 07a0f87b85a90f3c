"""A client that sends garbage costs no memory and keeps nobody else waiting. https://hl7.org/fhir/R4/security.html"""

from __future__ import annotations

import gzip
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.running import RunningServer, resident_megabytes, running_server

pytestmark = [
    pytest.mark.survival,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a process this way"),
]

# The first rounds fill caches and the allocator's pools; after them nothing may grow.
WARM_UP_ROUNDS = 30
ROUNDS = 120
MOST_GROWTH_MB = 8
MAX_BODY = 1_000_000
SLOW_CONNECTIONS = 100
LONGEST_ANSWER_SECONDS = 2

HEAD = b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"


def sized(body: bytes, claimed: int | None = None, more: bytes = b"") -> bytes:
    """Return a request that claims a length, by default the right one."""
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % (len(body) if claimed is None else claimed) + body


def chunked(size: int) -> bytes:
    """Return a request of which nobody knows how long it is until it was too long."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (size // 0x10000) + b"0\r\n\r\n"


LONG_NAME = b'{"resourceType":"Patient","name":[{"family":"' + b"x" * 500_000 + b'"}],"unknown":1}'
# What is sent, and the beginning of the answers that are right; b"" where the client does not wait for any.
GARBAGE: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    "half a body": (sized(b'{"resourceType":"Pat', claimed=50_000), (b"",)),
    "a length of a gigabyte": (sized(b"", claimed=10**9), (b"HTTP/1.1 413",)),
    "five times the limit in chunks": (chunked(5 * MAX_BODY), (b"HTTP/1.1 413", b"")),
    "a bomb": (sized(gzip.compress(b" " * 50 * MAX_BODY), more=b"Content-Encoding: gzip\r\n"), (b"HTTP/1.1 413",)),
    "deep arrays": (sized(b"[" * 400_000), (b"HTTP/1.1 400",)),
    "deep objects": (sized(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), (b"HTTP/1.1 400",)),
    "not UTF-8": (sized(b"\xff\xfe" * 1000), (b"HTTP/1.1 400",)),
    "a number of many digits": (sized(b'{"resourceType":"Patient","x":' + b"9" * 300_000 + b"}"), (b"HTTP/1.1 4",)),
    "a name of many letters": (sized(LONG_NAME), (b"HTTP/1.1 4",)),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100, (b"HTTP/1.1 400",)),
    "an endless header": (HEAD + b"X-Long: " + b"x" * 5_000_000, (b"HTTP/1.1 431", b"")),
    "an endless address": (b"GET /fhir/Patient?name=" + b"x" * 5_000_000, (b"HTTP/1.1 431", b"")),
}


def test_memory_stays_flat_and_others_are_answered(tmp_path: Path) -> None:
    with running_server(tmp_path, FHIR_MAX_BODY_BYTES=str(MAX_BODY)) as server:
        (worker,) = server.workers()
        for _ in range(WARM_UP_ROUNDS):
            send_all(server)
        before = resident_megabytes(worker)
        for _ in range(ROUNDS):
            send_all(server)
        growth = resident_megabytes(worker) - before

        print(f"{before:.1f} MB, and {growth:+.1f} MB after {ROUNDS * len(GARBAGE)} times garbage")
        assert growth < MOST_GROWTH_MB
        assert server.workers() == [worker], "the worker ended and was replaced"
        assert server.answers()


def test_slow_clients_keep_nobody_waiting(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        slow = [connect(server) for _ in range(SLOW_CONNECTIONS)]
        try:
            for step in range(20):
                for connection in slow:
                    connection.send(sized(b"", claimed=1000)[step : step + 1])
                assert timed(server.answers) < LONGEST_ANSWER_SECONDS
        finally:
            for connection in slow:
                connection.close()
        assert server.answers()


def test_a_head_in_pieces_and_a_large_body_in_pieces_are_taken(tmp_path: Path) -> None:
    body = b'{"resourceType":"Patient","name":[{"family":"' + b"x" * 900_000 + b'"}]}'
    request = sized(body, more=b"X-Long: " + b"y" * 60_000 + b"\r\n")
    with running_server(tmp_path) as server, connect(server) as connection:
        for _ in range(2):  # on one connection: the second head is counted anew
            for start in range(0, len(request), 20_000):
                connection.sendall(request[start : start + 20_000])
                time.sleep(0.002)
            assert connection.recv(12) == b"HTTP/1.1 201"
            drain(connection)


def drain(connection: socket.socket) -> None:
    """Read the rest of an answer whose body is larger than what is left of the head."""
    left = b""
    while b"\r\n\r\n" not in left:
        left += connection.recv(65_536)
    head, _, begun = left.partition(b"\r\n\r\n")
    length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
    missing = length - len(begun)
    while missing:
        missing -= len(connection.recv(min(missing, 65_536)))


def send_all(server: RunningServer) -> None:
    """Send every kind of garbage once, each on a connection of its own, and look at the first bytes of the answer."""
    for name, (request, right) in GARBAGE.items():
        with connect(server) as connection:
            got = b""
            try:
                connection.sendall(request)
                got = connection.recv(12) if right != (b"",) else b""
            except ConnectionError:  # the server had enough of it, and said so
                pass
            assert any(got.startswith(start) and (got or not start) for start in right), f"{name}: {got!r}"


def connect(server: RunningServer) -> socket.socket:
    """Return a connection of its own."""
    where = urlsplit(server.url)
    return socket.create_connection((where.hostname, where.port or 80), timeout=20)


def timed(ask: Callable[[], bool]) -> float:
    """Return how many seconds a right answer takes."""
    began = time.monotonic()
    assert ask()
    return time.monotonic() - began
