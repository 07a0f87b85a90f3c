"""What a search asks of the database: each command on the resources, how long it took, and what came back.

The whole server runs in this process, on the database that is measured, with a driver that keeps a record.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

import httpx

from fhir_server.app import create_app
from fhir_server.settings import Settings
from fhir_server.store.documents import RESOURCES
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import connect

SHOWN = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the driver: its name and arguments, how many documents it gave, and the milliseconds it took."""

    name: str
    arguments: dict[str, Any]
    documents: int
    milliseconds: float

    def __str__(self) -> str:
        """Return it on one line, cut short."""
        given = ", ".join(f"{name} {value}" for name, value in self.arguments.items() if name != "database")
        short = given if len(given) <= SHOWN else f"{given[:SHOWN]} ..."
        return f"{self.milliseconds:.1f} ms, {self.documents} documents: {self.name} {short}"


class Recording:
    """A driver that hands everything on and keeps what is asked of the resources."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.asked: list[Asked] = []

    def __getattr__(self, name: str) -> Any:
        """Return the driver's own method, recorded if it is one that asks."""
        method = getattr(self._driver, name)
        return self._recorded(name, method) if name in ("find", "aggregate", "command") else method

    def _recorded(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asking(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            reply = await method(*given, **named)
            taken = 1000 * (time.perf_counter() - began)
            arguments = inspect.signature(method).bind(*given, **named).arguments
            if RESOURCES in (arguments.get("collection"), *arguments.get("command", {}).values()):
                documents = len(reply) if isinstance(reply, list) else 0
                self.asked.append(Asked(name, arguments, documents, taken))
            return reply

        return asking


@asynccontextmanager
async def asking(url: str, prefix: str) -> AsyncIterator[Callable[[str], Awaitable[Sequence[Asked]]]]:
    """Give a function that asks for a target, `Patient?name=x`, and returns what the database was asked for it."""
    made: list[Recording] = []

    async def recorded(url: str, driver: str = "mongojet") -> Driver:
        made.append(Recording(await connect(url, driver)))
        return cast(Driver, made[-1])

    names = {"FHIR_MONGODB_URL": url, "FHIR_DATABASE_PREFIX": prefix, "FHIR_LOG_LEVEL": "error"}
    app = create_app(Settings.from_environment(names))
    with patch("fhir_server.app.connect", recorded):
        await app.start()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/fhir/", timeout=None) as http:

        async def ask(target: str) -> Sequence[Asked]:
            made[0].asked.clear()
            await http.get(target)
            return tuple(made[0].asked)

        try:
            yield ask
        finally:
            await app.stop()
