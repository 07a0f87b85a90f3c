"""A registry on the loopback: what is asked of it, what is believed, and when it is given up."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from fhir_server.api.errors import Failure, NotSupported, TooLarge, Unavailable
from fhir_server.packaging.registry import Patience, Registry, Release

BYTES = b"the archive"
SHA1 = hashlib.sha1(BYTES, usedforsecurity=False).hexdigest()
SHA512 = f"sha512-{b64encode(hashlib.sha512(BYTES).digest()).decode()}"
QUICK = Patience(listing=5000, archive=50, connect=2, read=0.3, total=1)

Serve = Callable[[dict[str, bytes]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a maker of registries: it is given answers by path and returns the URL. An empty answer never comes."""
    servers: list[asyncio.Server] = []

    async def start(answers: dict[str, bytes]) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            path = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
            said = answers.get(path, status(404))
            writer.write(said)
            await writer.drain()
            if not said:
                await asyncio.sleep(2)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/npm"

    yield start
    for server in servers:
        server.close()


def status(code: int, body: bytes = b"", **headers: str) -> bytes:
    rows = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*rows, *(f"{name}: {value}" for name, value in headers.items())]).encode() + b"\r\n\r\n" + body


def listing(*versions: str, tag: str = "", **dist: Any) -> bytes:
    rows = {version: {"name": "a.b", "version": version, "dist": dist} for version in versions}
    return status(200, json.dumps({"name": "a.b", "dist-tags": {"latest": tag}, "versions": rows}).encode())


async def fetched(registry: Registry, release: Release | None) -> bytes:
    assert release is not None
    return b"".join([chunk async for chunk in registry.fetch(release)])


@pytest.mark.parametrize(
    ("wanted", "version"),
    [("1.0.0", "1.0.0"), ("1.x", "1.1.0"), ("latest", "1.1.0"), ("", "1.1.0"), ("3.0", None), ("2.x", "2.0.0-ballot")],
)
async def test_the_newest_version_that_fits_is_found(serve: Serve, wanted: str, version: str | None) -> None:
    url = await serve({"/npm/a.b": listing("1.0.0", "1.1.0", "2.0.0-ballot")})
    found = await Registry(url).find("a.b", wanted)
    assert (found.version if found else None) == version


async def test_the_registry_says_which_is_the_latest(serve: Serve) -> None:
    registry = Registry(await serve({"/npm/a.b": listing("1.0.0", "2.0.0", tag="1.0.0")}))
    assert await registry.find("a.b", "latest") == Release("a.b", "1.0.0", f"{registry._url}/a.b/1.0.0")
    odd = Registry(await serve({"/npm/a.b": listing("1.0.0", "2.0.0", tag="9.0.0")}))
    found = await odd.find("a.b", "")
    assert found is not None
    assert found.version == "2.0.0"


async def test_what_it_has_not_is_none_and_no_registry_is_asked_nothing(serve: Serve) -> None:
    assert await Registry(await serve({})).find("a.b", "1.0.0") is None
    assert await Registry("").find("a.b", "1.0.0") is None


async def test_an_archive_is_fetched_from_where_it_is_listed_on_the_same_host(serve: Serve) -> None:
    answers = {"/files/a.tgz": status(200, BYTES), "/npm/a.b/1.0.0": status(302, Location="/files/a.tgz")}
    url = await serve(answers)
    for tarball in (url.replace("/npm", "/files/a.tgz"), "http://elsewhere.example/a.tgz", 5):
        answers["/npm/a.b"] = listing("1.0.0", tarball=tarball, shasum=SHA1, integrity=SHA512)
        registry = Registry(url + "/")
        assert await fetched(registry, await registry.find("a.b", "1.0.0")) == BYTES


@pytest.mark.parametrize("dist", [{"shasum": "0" * 40}, {"integrity": "sha512-AAAA"}])
async def test_an_archive_with_another_checksum_is_refused(serve: Serve, dist: dict[str, str]) -> None:
    url = await serve({"/npm/a.b": listing("1.0.0", **dist), "/npm/a.b/1.0.0": status(200, BYTES)})
    with pytest.raises(Unavailable, match="another checksum"):
        await fetched(Registry(url), await Registry(url).find("a.b", "1.0.0"))


@pytest.mark.parametrize(
    ("answer", "failure", "why"),
    [
        (status(500), Unavailable, "status 500"),
        (status(403), Unavailable, "status 403"),
        (status(200, b"<html>"), Unavailable, "no JSON"),
        (status(200, b'{"a":1,"a":2}'), Unavailable, "no JSON"),
        (b"garbage\r\n\r\n", Unavailable, "does not answer as it should"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", Unavailable, "does not answer as it should"),
        (b"", Unavailable, r"does not answer as it should \((ReadTimeout|TimeoutError)\)"),
        (status(200, b" " * 5001), TooLarge, "more than 5000 bytes"),
        (status(302, Location="http://elsewhere.example/x"), NotSupported, "another host"),
        (status(302, Location="file:///etc/passwd"), NotSupported, "another host"),
        (status(302, Location="/npm/a.b"), Unavailable, "more than 3 times"),
    ],
)
async def test_a_registry_that_answers_badly_is_told_from_one_that_has_nothing(
    serve: Serve, answer: bytes, failure: type[Failure], why: str
) -> None:
    registry = Registry(await serve({"/npm/a.b": answer}), patience=QUICK)
    with pytest.raises(failure, match=why):
        await registry.find("a.b", "1.0.0")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"versions": 5}', b'{"versions": {"x": 5}, "dist-tags": []}'])
async def test_an_odd_listing_is_one_without_the_version(serve: Serve, body: bytes) -> None:
    assert await Registry(await serve({"/npm/a.b": status(200, body)})).find("a.b", "1.0.0") is None


async def test_an_archive_that_is_too_large_or_gone_is_refused(serve: Serve) -> None:
    url = await serve({"/npm/a.b": listing("1.0.0"), "/npm/a.b/1.0.0": status(200, b"x" * 51)})
    registry = Registry(url, patience=QUICK)
    release = await registry.find("a.b", "1.0.0")
    with pytest.raises(TooLarge, match="more than 50 bytes"):
        await fetched(registry, release)
    with pytest.raises(Unavailable, match="has it not"):
        await fetched(registry, Release("a.b", "1.0.0", f"{url}/gone"))


async def test_nobody_listens(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="ConnectError"):
        await Registry(f"http://127.0.0.1:{unused_tcp_port}").find("a.b", "1.0.0")
