"""What searches ask of the database: the whole server in this process, on the database that is measured.

Unlike `fhir-server search explain` it stays connected, so that what the server learns from one search it knows in the
next, and it follows links. https://www.python-httpx.org/advanced/transports/#asgi-transport
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from unittest.mock import patch

import httpx

from fhir_server.app import create_app
from fhir_server.settings import Settings
from fhir_server.store.documents import RESOURCES
from fhir_server.store.driver import Driver
from fhir_server.store.mongo import connect
from fhir_server.store.tracing import Step, TracingDriver

SHOWN = 400

Ask = Callable[[str], Awaitable[Sequence[Step]]]


@asynccontextmanager
async def asking(url: str, prefix: str) -> AsyncIterator[Ask]:
    """Give a function that asks for a target, `Patient?name=x`, and returns what was asked of the resources for it."""
    made: list[TracingDriver] = []

    async def traced(url: str, driver: str = "mongojet") -> Driver:
        made.append(TracingDriver(await connect(url, driver)))
        return made[-1]

    names = {"FHIR_MONGODB_URL": url, "FHIR_DATABASE_PREFIX": prefix, "FHIR_LOG_LEVEL": "error"}
    app = create_app(Settings.from_environment(names))
    with patch("fhir_server.app.connect", traced):
        await app.start()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/fhir/", timeout=None) as http:

        async def ask(target: str) -> Sequence[Step]:
            made[0].steps.clear()
            (await http.get(target)).raise_for_status()
            return [step for step in made[0].steps if RESOURCES in step.command.values()]

        try:
            yield ask
        finally:
            await app.stop()


def line(step: Step) -> str:
    """Return a step on one line, cut short."""
    asked = str(step.command)
    short = asked if len(asked) <= SHOWN else f"{asked[:SHOWN]} ..."
    return f"{step.milliseconds:.1f} ms, {step.returned} documents: {short}"
