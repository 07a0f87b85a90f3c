"""The process that owns the listening socket, the embedded engine and the workers, and keeps all of them going.

docs/guide/run-it.md. It answers no request itself, so nothing a client sends can harm it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from fhir_server.cli.crew import Crew
from fhir_server.cli.failing import CommandError
from fhir_server.settings import Settings
from fhir_server.store.engine import Engine

APP = "fhir_server.app:create_app"
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Running:
    """What is running when everything answers."""

    url: str
    workers: tuple[int, ...]
    database: str


class Supervisor:
    """Runs a server until a signal says stop. `on_ready` is called in a thread as soon as every worker answers."""

    def __init__(self, settings: Settings, on_ready: Callable[[Running], None], *, app: str = APP) -> None:
        self._settings, self._on_ready, self._app = settings, on_ready, app
        self._engine: Engine | None = None
        self._crew: Crew | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; CommandError or EngineError if it cannot.

        The first signal lets requests in flight finish (settings.shutdown_seconds), a second one ends all at once.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        with _listener(self._settings) as listener, _shared_folder() as metrics:
            async with self._database() as url:
                port = listener.getsockname()[1]
                settings = replace(self._settings, mongodb_url=url, metrics_dir=metrics, port=port)
                await self._serve(listener, settings)

    async def _serve(self, listener: socket.socket, settings: Settings) -> None:
        self._crew = crew = Crew(self._app, listener, settings)
        try:
            work = asyncio.create_task(self._work(crew, settings))
            told = asyncio.create_task(self._told.wait())
            await asyncio.wait([work, told], return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if work.done():
                await work
            work.cancel()
        finally:
            listener.close()  # the workers close theirs: from here on connections are refused
            await crew.stop()

    async def _work(self, crew: Crew, settings: Settings) -> None:
        await crew.start()
        database = f"{self._engine.program} (process {self._engine.pid})" if self._engine else "MongoDB"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        running = Running(f"http://{host}:{settings.port}", tuple(crew.pids), database)
        await asyncio.to_thread(self._on_ready, running)
        await self._told.wait()

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[str]:
        settings = self._settings
        if settings.mongodb_url:
            yield settings.mongodb_url
            return
        self._engine = Engine(settings.data_dir, program=settings.engine, cache_mb=settings.engine_cache_mb)
        await asyncio.to_thread(self._engine.start)
        try:
            yield self._engine.url
        finally:
            await asyncio.to_thread(self._engine.stop)

    def _signalled(self) -> None:
        if not self._told.is_set():
            self._told.set()
            return
        if self._crew:
            self._crew.kill()
        if self._engine:
            self._engine.kill()


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """Listen at once, so that a taken port is known before anything is started; early clients wait."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise CommandError(
                f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
                "stop the other server or choose another with --port"
            ) from None
        listener.listen(BACKLOG)
        yield listener


@contextmanager
def _shared_folder() -> Iterator[str]:
    """A folder where the workers share their counters (http/metrics.py)."""
    with tempfile.TemporaryDirectory(prefix="fhir-metrics-", ignore_cleanup_errors=True) as folder:
        yield folder
