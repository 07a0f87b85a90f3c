"""A terminology server elsewhere, asked about what is not known here. https://hl7.org/fhir/R4/terminology-service.html

Only the configured base URL is ever called: no redirect is followed, no proxy or password of the environment used. An
answer that is slow, too large or no FHIR is no answer. After several of these in a row the server is left alone for a
while, so that whoever asks does not wait for it; what was answered is remembered for some time, in bounded memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from fhir_server.api import Json, JsonError, RemoteServer, decode, encode
from terminology.failures import Unreachable

MAX_ANSWER = 8_000_000  # bytes
MAX_REMEMBERED = 32_000_000  # bytes, questions and answers together
MAX_QUESTIONS = 10_000
MAX_AT_ONCE = 16
FAILURES = 5  # in a row, then the server is left alone
PAUSE = 30.0  # seconds that it is left alone
REFUSAL_AGE = 60.0  # seconds that a refusal is remembered; what is not known today may be loaded soon
MEDIA_TYPE = "application/fhir+json"
_REFUSED = (400, 404, 405, 409, 410, 412, 422, 501)  # the server understood, and does not know or cannot do it

Clock = Callable[[], float]


@dataclass
class Cache:
    """What was answered, until it is too old or there is too much: bytes by question; empty bytes are a refusal."""

    seconds: float
    clock: Clock
    _known: OrderedDict[bytes, tuple[float, bytes]] = field(default_factory=OrderedDict)
    _size: int = 0

    def get(self, question: bytes) -> bytes | None:
        """Return the answer, or None where there is none or it is too old."""
        found = self._known.get(question)
        if found is None or found[0] < self.clock():
            return None
        self._known.move_to_end(question)
        return found[1]

    def put(self, question: bytes, answer: bytes) -> None:
        """Remember an answer, and forget the oldest where there are too many."""
        if question in self._known:
            self._size -= len(question) + len(self._known.pop(question)[1])
        self._known[question] = (self.clock() + (self.seconds if answer else min(self.seconds, REFUSAL_AGE)), answer)
        self._size += len(question) + len(answer)
        while self._size > MAX_REMEMBERED or len(self._known) > MAX_QUESTIONS:
            oldest, (_, gone) = self._known.popitem(last=False)
            self._size -= len(oldest) + len(gone)


@dataclass
class Breaker:
    """Whether to leave the server alone: after some failures in a row for a while, then one question tries again."""

    clock: Clock
    failures: int = 0
    until: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nobody shall ask now."""
        return self.failures >= FAILURES and self.clock() < self.until

    def failed(self) -> None:
        """Note that there was no answer."""
        self.failures += 1
        self.until = self.clock() + PAUSE

    def answered(self) -> None:
        """Note that there was one."""
        self.failures = 0

    def trying(self) -> None:
        """Let one question through and hold the others back until it is answered."""
        if self.failures >= FAILURES:
            self.until = self.clock() + PAUSE


class Remote:
    """Asks the terminology server of the settings. One for a process; it is closed by whoever made it."""

    def __init__(
        self, server: RemoteServer, clock: Clock = time.monotonic, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.server = server
        self._cache = Cache(server.cache_seconds, clock)
        self._breaker = Breaker(clock)
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    def may_ask(self, url: str) -> bool:
        """Whether the settings let a code system or value set of that URL be asked about."""
        return not self.server.systems or any(url.startswith(known) for known in self.server.systems)

    async def call(self, path: str, parameters: list[Json]) -> Json | None:
        """Return what an operation (`ValueSet/$expand`) answers, or None where it refuses. Raises Unreachable."""
        body = encode({"resourceType": "Parameters", "parameter": parameters})
        return _expected("ValueSet" if path.endswith("$expand") else "Parameters", await self._ask("POST", path, body))

    async def search(self, path: str, **query: str) -> Json | None:
        """Return the Bundle of a search. Raises Unreachable."""
        return _expected("Bundle", await self._ask("GET", f"{path}?{urlencode(query)}", b""))

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, method: str, path: str, body: bytes) -> Json | None:
        question = f"{method} {path}\n".encode() + body
        raw = self._cache.get(question)
        if raw is None:
            raw = await self._fetch(method, path, body)
            self._cache.put(question, raw)
        return decode(raw) if raw else None

    async def _fetch(self, method: str, path: str, body: bytes) -> bytes:
        """Return the resource that is answered, as its bytes; nothing where the question is refused."""
        if self._breaker.is_open:
            raise Unreachable("was away a moment ago and is left alone for a while")
        self._breaker.trying()
        try:
            async with asyncio.timeout(self.server.timeout), self._places:
                status, raw = await self._send(method, path, body)
        except TimeoutError:
            raise self._failed(f"did not answer within {self.server.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise self._failed("could not be reached") from None
        if status in _REFUSED:
            self._breaker.answered()
            return b""
        if status != 200:
            raise self._failed(f"answered with the status {status}")
        if len(raw) > MAX_ANSWER:
            raise self._failed(f"answered with more than {MAX_ANSWER} bytes")
        if not _is_resource(raw):
            raise self._failed("answered with something that is no FHIR resource")
        self._breaker.answered()
        return raw

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"accept": MEDIA_TYPE, **({"content-type": MEDIA_TYPE} if body else {})}
        url = f"{self.server.url}/{path}"
        parts, size = [], 0
        async with self._connected().stream(method, url, content=body or None, headers=headers) as answer:
            if answer.status_code == 200:
                async for part in answer.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > MAX_ANSWER:
                        break
            return answer.status_code, b"".join(parts)

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=dict(self.server.headers),
                timeout=self.server.timeout,
                follow_redirects=False,
                trust_env=False,
                transport=self._transport,
            )
        return self._client

    def _failed(self, what: str) -> Unreachable:
        self._breaker.failed()
        return Unreachable(what)


def _expected(kind: str, answer: Json | None) -> Json | None:
    if answer is not None and answer["resourceType"] != kind:
        raise Unreachable(f"answered with something that is no {kind}")
    return answer


def _is_resource(raw: bytes) -> bool:
    try:
        found = decode(raw)
    except (JsonError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("resourceType"), str)
