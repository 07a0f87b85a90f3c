"""python -m fhir_server.cli.worker: one process that answers requests; only the supervisor starts it.

Arguments: the app factory (`module:function`), the file descriptor of the listening socket, and that of the channel to
the supervisor: the worker says there that it is ready, and ends when the supervisor is gone. docs/guide/run-it.md
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from fhir_server.cli.protocol import BoundedProtocol
from fhir_server.http.logs import configure_logging
from fhir_server.settings import Settings

READY = b"r"
KEEP_ALIVE_SECONDS = 65

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]


def work(factory: str, listener: socket.socket, channel: socket.socket) -> None:
    """Serve the app that `factory` makes of the settings, until told to end or left alone."""
    settings = Settings.load()
    configure_logging(settings)
    threading.Thread(target=_end_with_supervisor, args=(channel, settings.shutdown_seconds), daemon=True).start()
    config = uvicorn.Config(
        explaining(_build(factory, settings)),
        loop="uvloop",
        http=BoundedProtocol,
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # behind a proxy FHIR_BASE_URL says the address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    _Announcing(config, channel).run([listener])


def _build(factory: str, settings: Settings) -> _App:
    module, _, name = factory.partition(":")
    try:
        app: _App = getattr(import_module(module), name)(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, the log says it in one line
        _say_why(error)
        sys.exit(STARTUP_FAILURE)
    return app


class _Announcing(uvicorn.Server):
    """A server that tells the supervisor when it answers."""

    def __init__(self, config: uvicorn.Config, channel: socket.socket) -> None:
        super().__init__(config)
        self._channel = channel

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._channel.send(READY)


def explaining(app: _App) -> _App:
    """Return the app, with one log line that says why when it cannot start; requests pass untouched."""

    def either(scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> Awaitable[None]:
        return _lifespan(app, scope, receive, send) if scope["type"] == "lifespan" else app(scope, receive, send)

    return either


async def _lifespan(app: _App, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
    try:
        await app(scope, receive, send)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        _say_why(error)
        raise


def _say_why(error: Exception) -> None:
    """Log the message too, unlike everywhere else: at the start and the end of the app there is no request in it."""
    log = structlog.get_logger("fhir_server.worker")
    log.error("worker_fails", reason=f"{type(error).__name__}: {error}", exc_info=error)


def _end_with_supervisor(channel: socket.socket, grace: int) -> None:
    while channel.recv(1):
        pass  # the supervisor never says anything; the end of the channel is the end of the supervisor
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace + 5)
    os._exit(1)


if __name__ == "__main__":
    work(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), socket.socket(fileno=int(sys.argv[3])))
