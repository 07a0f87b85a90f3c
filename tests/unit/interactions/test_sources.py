"""Sources of an import: what may be fetched, what may not, and when reading stops."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest, Unavailable
from fhir_server.interactions import unpacking
from fhir_server.interactions.sources import SourceLimits, Sources

LINES = b'{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"2"}\n'

Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a maker of web servers: it is given answers by path and returns the port."""
    servers: list[asyncio.Server] = []

    async def start(answers: dict[str, bytes], seen: list[str] | None = None) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if seen is not None:
                seen.append(head)
            writer.write(answers[head.split()[1]])
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


def ok(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def read(sources: Sources, url: str) -> bytes:
    return b"".join([chunk async for chunk in sources.open(url)])


class TestTheWeb:
    async def test_a_listed_host(self, serve: Serve) -> None:
        seen: list[str] = []
        port = await serve({"/a.ndjson?x=1": ok(LINES)}, seen)
        assert await read(Sources((f"localhost:{port}",)), f"http://localhost:{port}/a.ndjson?x=1#part") == LINES
        assert f"host: localhost:{port}\r\n" in seen[0].lower()

    @pytest.mark.parametrize("headers", [(), ("Content-Encoding: gzip",)])
    async def test_gzip(self, serve: Serve, headers: tuple[str, ...]) -> None:
        port = await serve({"/a": ok(gzip.compress(LINES), *headers)})
        assert await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a") == LINES

    async def test_another_packing(self, serve: Serve) -> None:
        port = await serve({"/a": ok(LINES, "Content-Encoding: br")})
        with pytest.raises(InvalidRequest, match="something else than gzip"):
            await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a")

    @pytest.mark.parametrize(
        "url",
        [
            "http://other.example/a",
            "http://listed.example:8080/a",
            "http://listed.example.evil.example/a",
            "http://listed.example@evil.example/a",
            "http://user:secret@listed.example/a",
            "http://evil.example\\@listed.example/a",
            "http://evil.example#@listed.example/a",
            "https://:443/a",
            "http:///a",
            "ftp://listed.example/a",
            "gopher://listed.example/a",
            "data:,x",
            "listed.example/a",
            "",
            "http://listed.example:port/a",
            "http://[::1/a",
        ],
    )
    def test_what_is_not_listed_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(InvalidRequest):
            Sources(("listed.example",)).open(url)

    @pytest.mark.parametrize(
        "url", ["http://listed.example/a", "https://listed.example./a", "https://LISTED.example:443/a"]
    )
    def test_a_listed_name_with_the_port_of_its_scheme(self, url: str) -> None:
        Sources(("listed.example",)).open(url)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "192.168.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "::1",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ],
    )
    async def test_a_name_with_a_private_address(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        async def found(*_: Any, **__: Any) -> list[Any]:
            return [(0, 0, 0, "", ("93.184.216.34", 80)), (0, 0, 0, "", (address, 80))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        with pytest.raises(InvalidRequest, match=r"listed\.example has a private address"):
            await read(Sources(("listed.example",)), "http://listed.example/a")

    async def test_a_name_nobody_knows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def unknown(*_: Any, **__: Any) -> list[Any]:
            raise socket.gaierror

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        with pytest.raises(Unavailable, match=r"listed\.example cannot be found"):
            await read(Sources(("listed.example",)), "http://listed.example/a")

    async def test_a_redirect_on_the_same_host(self, serve: Serve) -> None:
        port = await serve({"/a": redirect("b"), "/b": ok(LINES)})
        assert await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a") == LINES

    @pytest.mark.parametrize(
        "location", ["http://127.0.0.1:1/", "https://127.0.0.1:{}/a", "//evil.example/", "file:///"]
    )
    async def test_a_redirect_elsewhere(self, serve: Serve, location: str) -> None:
        answers: dict[str, bytes] = {}
        port = await serve(answers)
        answers["/a"] = redirect(location.format(port))
        with pytest.raises(InvalidRequest, match="redirects to another host"):
            await read(Sources((f"127.0.0.1:{port}", "127.0.0.1:1")), f"http://127.0.0.1:{port}/a")

    async def test_redirects_without_end(self, serve: Serve) -> None:
        port = await serve({"/a": redirect("/a")})
        with pytest.raises(InvalidRequest, match="more than 3 times"):
            await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a")

    @pytest.mark.parametrize(("status", "failure"), [(404, InvalidRequest), (429, Unavailable), (503, Unavailable)])
    async def test_other_answers(self, serve: Serve, status: int, failure: type[Exception]) -> None:
        port = await serve({"/a": f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()})
        with pytest.raises(failure, match=f"status {status}"):
            await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a")

    async def test_an_answer_that_breaks_off(self, serve: Serve) -> None:
        port = await serve({"/a": ok(LINES)[:-5]})
        with pytest.raises(Unavailable, match="RemoteProtocolError"):
            await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a")

    async def test_nobody_there(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(Unavailable, match="ConnectError"):
            await read(Sources((f"127.0.0.1:{port}",)), f"http://127.0.0.1:{port}/a")


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a b.ndjson").write_bytes(LINES)
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
        (tmp_path / "in" / "up").symlink_to(tmp_path)
        return tmp_path / "in"

    @pytest.mark.parametrize("host", ["", "localhost"])
    async def test_a_file_of_the_folder(self, folder: Path, host: str) -> None:
        assert await read(Sources(folder=str(folder)), f"file://{host}{folder}/a%20b.ndjson") == LINES

    @pytest.mark.parametrize(
        "path", ["../secret", "%2e%2e/secret", "link", "up/secret", "none", "", ".", "a%00b", "a b.ndjson/x"]
    )
    def test_what_is_not_in_it(self, folder: Path, path: str) -> None:
        with pytest.raises(InvalidRequest, match="no such file"):
            Sources(folder=str(folder)).open(f"file://{folder}/{path}")

    def test_another_host(self, folder: Path) -> None:
        with pytest.raises(InvalidRequest, match="no such file"):
            Sources(folder=str(folder)).open(f"file://fileserver{folder}/a%20b.ndjson")

    def test_no_folder(self, folder: Path) -> None:
        with pytest.raises(InvalidRequest, match="no such file"):
            Sources().open(f"file://{folder}/a%20b.ndjson")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="no such file"):
            Sources(folder=str(tmp_path / "none")).open(f"file://{tmp_path}/none/a")


class TestLimits:
    async def content(self, tmp_path: Path, raw: bytes, **limits: Any) -> bytes:
        (tmp_path / "a").write_bytes(raw)
        return await read(Sources(folder=str(tmp_path), limits=SourceLimits(**limits)), f"file://{tmp_path}/a")

    async def test_as_many_bytes_as_allowed(self, tmp_path: Path) -> None:
        assert await self.content(tmp_path, LINES, max_bytes=len(LINES)) == LINES
        with pytest.raises(InvalidRequest, match="more than 71 bytes"):
            await self.content(tmp_path, LINES, max_bytes=len(LINES) - 1)
        with pytest.raises(InvalidRequest, match="more than 71 bytes"):
            await self.content(tmp_path, gzip.compress(LINES), max_bytes=len(LINES) - 1)

    async def test_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bomb = gzip.compress(bytes(3_000_000))
        assert len(await self.content(tmp_path, bomb)) == 3_000_000
        monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 100_000)
        with pytest.raises(InvalidRequest, match="more than 250 times its size"):
            await self.content(tmp_path, bomb)
        assert len(await self.content(tmp_path, bomb, max_ratio=10_000)) == 3_000_000

    async def test_time(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="took more than"):
            await self.content(tmp_path, LINES, total_seconds=0)

    @pytest.mark.parametrize("raw", [b"", b"x", b"\x1f", LINES, b"\x1f\x8c" + LINES])
    async def test_what_is_not_gzip_passes(self, tmp_path: Path, raw: bytes) -> None:
        assert await self.content(tmp_path, raw) == raw

    async def test_members_and_padding(self, tmp_path: Path) -> None:
        raw = gzip.compress(LINES) + gzip.compress(LINES) + bytes(512)
        assert await self.content(tmp_path, raw) == LINES * 2

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_pieces_of_any_size(self, size: int) -> None:
        raw = gzip.compress(LINES) + bytes(3) + gzip.compress(LINES)
        unpacker = unpacking.Unpacker(250)
        out = [p for start in range(0, len(raw), size) for p in unpacker.feed(raw[start : start + size])]
        assert b"".join([*out, *unpacker.finish()]) == LINES * 2

    @pytest.mark.parametrize("cut", [1, 8, 20])
    async def test_a_file_that_breaks_off(self, tmp_path: Path, cut: int) -> None:
        with pytest.raises(InvalidRequest, match="breaks off"):
            await self.content(tmp_path, gzip.compress(LINES)[:-cut])

    async def test_a_damaged_file(self, tmp_path: Path) -> None:
        raw = bytearray(gzip.compress(LINES))
        raw[-6] ^= 1
        with pytest.raises(InvalidRequest, match="damaged"):
            await self.content(tmp_path, bytes(raw))
