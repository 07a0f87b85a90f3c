"""A package registry, asked as npm registries are: `GET {registry}/{name}` lists versions, each with its archive.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification. The operator names the registry, and nothing is
fetched from any other host: neither by a redirect nor because the registry names one.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx

from fhir_server.api.errors import NotSupported, TooLarge, Unavailable
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.versions import newest

MEGABYTE = 1024 * 1024
CHUNK = 256 * 1024
REDIRECTS = (301, 302, 303, 307, 308)
NOT_THERE = (404, 410)
# An archive is packed already, and its checksum is that of the bytes as they are.
_HEADERS = {"accept": "application/json, application/gzip, */*", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How much and how long a registry may answer, in bytes and seconds."""

    listing: int = 16 * MEGABYTE
    archive: int = 512 * MEGABYTE
    connect: float = 10
    read: float = 60
    total: float = 1800
    redirects: int = 3


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a package as a registry lists it; the checksums may be empty."""

    name: str
    version: str
    url: str
    sha1: str = ""
    integrity: str = ""


class Registry:
    """One registry by its base URL. `transport` replaces the network."""

    def __init__(
        self, url: str, transport: httpx.AsyncBaseTransport | None = None, patience: Patience = Patience()
    ) -> None:
        self._url = url.rstrip("/")
        self._transport = transport
        self._patience = patience

    async def find(self, name: str, wanted: str) -> Release | None:
        """Return the newest version that fits, or None where the registry has none.

        Raises Unavailable when it does not answer as it should.
        """
        if not self._url:
            return None
        raw = bytearray()
        url = f"{self._url}/{quote(name)}"
        async with aclosing(self._get(url, self._patience.listing)) as chunks:
            async for chunk in chunks:
                if chunk is None:
                    return None
                raw += chunk
        try:
            listed = decode(bytes(raw))
        except JsonError as error:
            raise Unavailable(f"The package registry lists {name} in a way that is no JSON: {error}.") from None
        versions = _members(_members(listed).get("versions"))
        tags = _members(_members(listed).get("dist-tags"))
        tag = tags.get("latest") if wanted in ("", "latest") else None
        version = tag if isinstance(tag, str) and tag in versions else newest(versions, wanted)
        return None if version is None else self._release(name, version, _members(versions[version]))

    async def fetch(self, release: Release) -> AsyncIterator[bytes]:
        """Yield the archive of a version. Raises Unavailable, TooLarge, and at the end when a checksum is wrong."""
        sha1, sha512 = hashlib.sha1(usedforsecurity=False), hashlib.sha512()
        async with aclosing(self._get(release.url, self._patience.archive)) as chunks:
            async for chunk in chunks:
                if chunk is None:
                    raise Unavailable(f"The package registry lists {release.name}#{release.version} and has it not.")
                sha1.update(chunk)
                sha512.update(chunk)
                yield chunk
        whole = f"sha512-{b64encode(sha512.digest()).decode()}"
        if release.sha1 not in ("", sha1.hexdigest()) or release.integrity not in ("", whole):
            raise Unavailable(f"The archive of {release.name}#{release.version} has another checksum than is listed.")

    def _release(self, name: str, version: str, row: dict[str, Any]) -> Release:
        dist = _members(row.get("dist"))
        named, own = dist.get("tarball"), f"{self._url}/{quote(name)}/{quote(version, safe='')}"
        integrity = _text(dist.get("integrity"))
        return Release(
            name,
            version,
            named if isinstance(named, str) and self._is_own(named) else own,
            _text(dist.get("shasum")).lower(),
            integrity if integrity.startswith("sha512-") and " " not in integrity else "",
        )

    def _is_own(self, url: str) -> bool:
        """Whether a URL is of the registry's scheme, host and port."""
        try:
            asked, own = urlsplit(url), urlsplit(self._url)
            return asked.scheme == own.scheme and (asked.hostname, asked.port) == (own.hostname, own.port)
        except ValueError:
            return False

    async def _get(self, url: str, limit: int) -> AsyncGenerator[bytes | None, None]:
        """Yield the body of an answer, or None where there is nothing at the URL."""
        size = 0
        try:
            async with asyncio.timeout(self._patience.total), self._opened(url) as response:
                if response.status_code in NOT_THERE:
                    yield None
                    return
                if response.status_code != httpx.codes.OK:
                    raise Unavailable(f"The package registry answers with status {response.status_code}.")
                async for chunk in response.aiter_raw(CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise TooLarge(f"The package registry answers with more than {limit} bytes.")
                    yield chunk
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unavailable(f"The package registry does not answer as it should ({type(error).__name__}).") from error

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(self._patience.read, connect=self._patience.connect)
        async with httpx.AsyncClient(trust_env=False, timeout=timeout, transport=self._transport) as client:
            for _ in range(self._patience.redirects + 1):
                request = client.build_request("GET", url, headers=_HEADERS)
                response = await client.send(request, stream=True)
                async with aclosing(response):
                    if response.status_code not in REDIRECTS:
                        yield response
                        return
                    url = urljoin(url, response.headers.get("location", ""))
                    if not self._is_own(url):
                        raise NotSupported("The package registry redirects to another host; nothing is fetched there.")
        raise Unavailable(f"The package registry redirects more than {self._patience.redirects} times.")


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
