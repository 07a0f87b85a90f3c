"""Files to be imported, fetched from where the operator allows and nowhere else.

A client names the URL, so the server must not be talked into fetching what only it can reach
(https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html): hosts are
listed, their addresses are looked up once and checked, and the connection goes to the address that was checked.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpx

from fhir_server.api.errors import Failure, InvalidRequest, Unavailable
from fhir_server.interactions.unpacking import Unpacker

PORTS = {"http": 80, "https": 443}
CHUNK = 256 * 1024
MAX_REDIRECTS = 3
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How much one source may take: bytes when unpacked, how many times its packed size that may be, and time."""

    max_bytes: int = 64 * 1024**3
    max_ratio: int = 250
    connect_seconds: float = 10
    read_seconds: float = 60
    total_seconds: float = 6 * 3600


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that may be read from.

    `hosts` are `name`, which may only have public addresses and the scheme's own port, or `name:port`, which may be
    anywhere. `folder` is where `file:` URLs may lead; empty allows none.
    """

    hosts: tuple[str, ...] = ()
    folder: str = ""
    limits: SourceLimits = SourceLimits()

    def open(self, url: str, *, as_is: bool = False) -> AsyncGenerator[bytes, None]:
        """Return the content of a URL, chunk by chunk: unpacked, or as it is.

        Raises InvalidRequest at once when the URL is not allowed; while reading InvalidRequest for what cannot be
        had or passes the limits, Unavailable when the source does not answer.
        """
        try:
            split = urlsplit(url)
            port = split.port
        except ValueError:
            raise InvalidRequest("The URL of a source cannot be read.") from None
        if split.scheme == "file":
            return self._bounded(self._file(self._path(split)), as_is=as_is)
        self._check_host(split, port)
        return self._bounded(self._web(url), as_is=as_is)

    def _check_host(self, split: SplitResult, port: int | None) -> bool:
        """Return whether the host is listed with its port, and so may be a private one."""
        host = (split.hostname or "").rstrip(".")
        if split.scheme not in PORTS or not host or split.username is not None or split.password is not None:
            raise InvalidRequest("A source is an http, https or file URL without user and password.")
        default = PORTS[split.scheme]
        if f"{host}:{port or default}" in self.hosts:
            return True
        if host in self.hosts and port in (None, default):
            return False
        raise InvalidRequest(f"Nothing is imported from {host[:100]}. The operator lists hosts in FHIR_IMPORT_HOSTS.")

    def _path(self, split: SplitResult) -> Path:
        """Return the file of a URL after all symbolic links, if it lies in the folder."""
        refusal = InvalidRequest("There is no such file in the folder that the operator names in FHIR_IMPORT_DIR.")
        if not self.folder or split.netloc not in ("", "localhost") or "\0" in unquote(split.path):
            raise refusal
        try:
            folder, path = Path(self.folder).resolve(strict=True), Path(unquote(split.path)).resolve(strict=True)
        except (OSError, RuntimeError):
            raise refusal from None
        if not path.is_relative_to(folder) or not path.is_file():
            raise refusal
        return path

    async def _file(self, path: Path) -> AsyncGenerator[bytes, None]:
        with await asyncio.to_thread(_open, path) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk

    async def _web(self, url: str) -> AsyncGenerator[bytes, None]:
        timeout = httpx.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds)
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=timeout) as client:
                for _ in range(MAX_REDIRECTS + 1):
                    response = await client.send(await self._request(client, url), stream=True)
                    async with aclosing(response):
                        if not response.is_redirect:
                            _check_response(response)
                            async for chunk in response.aiter_raw(CHUNK):
                                yield chunk
                            return
                        url = _redirected(url, response.headers["location"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"The source does not answer as it should ({type(error).__name__}).") from error
        raise InvalidRequest(f"The source redirects more than {MAX_REDIRECTS} times.")

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """Return a request to the address of the host that was checked, in the name of the host."""
        split = urlsplit(url)
        anywhere = self._check_host(split, split.port)
        host, port = split.hostname or "", split.port or PORTS[split.scheme]
        address = await _address(host, port, anywhere=anywhere)
        place = f"[{address}]" if ":" in address else address
        headers = {"host": split.netloc, "accept-encoding": "gzip", "accept": "application/fhir+ndjson, */*"}
        direct = split._replace(netloc=f"{place}:{port}", fragment="").geturl()
        return client.build_request("GET", direct, headers=headers, extensions={"sni_hostname": host})

    async def _bounded(self, chunks: AsyncGenerator[bytes, None], *, as_is: bool) -> AsyncGenerator[bytes, None]:
        """Unpack gzip, whatever it calls itself, unless it is wanted as it is; and stop at the limits."""
        unpacker = Unpacker(self.limits.max_ratio)
        size, end = 0, asyncio.get_running_loop().time() + self.limits.total_seconds
        async with aclosing(chunks):
            async for packed in chunks:
                for chunk in (packed,) if as_is else unpacker.feed(packed):
                    size += len(chunk)
                    if size > self.limits.max_bytes:
                        raise InvalidRequest(f"The source has more than {self.limits.max_bytes} bytes. Split it.")
                    yield chunk
                if asyncio.get_running_loop().time() > end:
                    raise InvalidRequest(f"The source took more than {self.limits.total_seconds:g} seconds. Split it.")
        for chunk in unpacker.finish():
            yield chunk


def _open(path: Path) -> BinaryIO:
    """Open a file that was no symbolic link a moment ago, and still is none."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError:
        raise InvalidRequest("The file cannot be read.") from None


async def _address(host: str, port: int, *, anywhere: bool) -> str:
    """Return an address of the host; with several, each must be allowed, for any may be the one."""
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Unavailable(f"The host {host} cannot be found.") from None
    found = [str(row[4][0]) for row in rows]
    if not anywhere and not all(_is_public(ip_address(address.partition("%")[0])) for address in found):
        raise InvalidRequest(f"{host} has a private address. The operator can list it with its port: {host}:{port}.")
    return found[0]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to everybody's network, those inside an IPv6 address included."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _redirected(url: str, location: str) -> str:
    """Return where a redirect leads; it may not leave the scheme, host and port that were asked for."""
    target = urljoin(url, location)
    old, new = urlsplit(url), urlsplit(target)
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise InvalidRequest("The source redirects to another host. Name the URL where the file is.")
    return target


def _check_response(response: httpx.Response) -> None:
    status = response.status_code
    failure: type[Failure] = Unavailable if status >= 500 or status == 429 else InvalidRequest
    if status != 200:
        raise failure(f"The source answers with status {status}.")
    if response.headers.get("content-encoding", "identity") not in ("identity", "gzip", "x-gzip"):
        raise InvalidRequest("The source is packed with something else than gzip.")
