"""A small ASGI app for tests of the supervisor; it needs nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fhir_server.http.metrics import Metrics
from fhir_server.settings import Settings

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def create_app(settings: Settings) -> App:
    """Return an app that answers its process id, the database's URL on /database, and on /slow after three seconds."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["path"] == "/slow":
            await asyncio.to_thread(Path(os.environ["TMPDIR"], "slow-began").touch)
            await asyncio.sleep(3)
        body = settings.mongodb_url if scope["path"] == "/database" else str(os.getpid())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


def create_counting(settings: Settings) -> App:
    """Return the same app, of a worker that counts as the real one does."""
    Metrics(settings.metrics_dir).observe("read", 200, 0.1)
    return create_app(settings)


def create_broken(settings: Settings) -> App:
    """Return an app that cannot start."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise RuntimeError("the key is missing; set FHIR_CURSOR_KEY")

    return app


def create_none(settings: Settings) -> App:
    """Fail to make an app."""
    raise RuntimeError("the key is missing; set FHIR_CURSOR_KEY")


async def _live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
