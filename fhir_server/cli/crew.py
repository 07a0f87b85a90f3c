"""The worker processes: as many as there should be, whatever happens to them. docs/guide/run-it.md

Our own rather than uvicorn's, which polls twice a second for dead workers, gives up when one cannot start (a database
that is just coming back is a reason not to), and lets workers live on when it is killed itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass

import structlog

from fhir_server.cli.failing import CommandError
from fhir_server.cli.worker import READY
from fhir_server.settings import Settings

LONGEST_PAUSE_SECONDS = 5.0
_log = structlog.get_logger("fhir_server.crew")


@dataclass(frozen=True, slots=True)
class _Worker:
    process: Process
    channel: socket.socket

    async def is_ready(self) -> bool:
        """Return True when the worker says that it answers, False when it ends before."""
        with contextlib.suppress(OSError):
            return await asyncio.get_running_loop().sock_recv(self.channel, 1) == READY
        return False


class Crew:
    """`settings.workers` processes that serve `app` on one listening socket; one that ends is replaced at once."""

    def __init__(self, app: str, listener: socket.socket, settings: Settings) -> None:
        self._app, self._listener, self._settings = app, listener, settings
        self._workers: dict[int, _Worker] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._ready: list[asyncio.Event] = []

    @property
    def pids(self) -> list[int]:
        """The processes there are now."""
        return [worker.process.pid for _, worker in sorted(self._workers.items())]

    async def start(self) -> None:
        """Start the workers and return when all answer; CommandError if one ends before it ever answered."""
        self._ready = [asyncio.Event() for _ in range(self._settings.workers)]
        self._slots = [asyncio.create_task(self._keep(slot)) for slot in range(self._settings.workers)]
        ready = asyncio.create_task(self._all_ready())
        await asyncio.wait([ready, *self._slots], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        for slot in self._slots:
            if slot.done():
                slot.result()

    async def _all_ready(self) -> None:
        for event in self._ready:
            await event.wait()

    async def stop(self) -> None:
        """Let requests in flight finish, then end the workers; by force those that take too long."""
        self._stopping.set()
        self._signal("terminate")
        if self._slots:
            await asyncio.wait(self._slots, timeout=self._settings.shutdown_seconds + 3)
            self.kill()
            await asyncio.wait(self._slots)

    def kill(self) -> None:
        """End the workers now, whatever they are doing."""
        self._stopping.set()
        self._signal("kill")

    def _signal(self, how: str) -> None:
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                getattr(worker.process, how)()

    async def _keep(self, slot: int) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            code, answered = await self._one_life(slot)
            if self._stopping.is_set():
                return
            if not self._ready[slot].is_set():
                raise CommandError(f"a worker ended with code {code} before it was ready; the log above says why")
            pause = 0.0 if answered else min(pause * 2 + 0.1, LONGEST_PAUSE_SECONDS)
            _log.warning("worker_ended", code=code, next_in=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _one_life(self, slot: int) -> tuple[int, bool]:
        """Return the exit code of a worker from its start to its end, and whether it ever answered."""
        worker = self._workers[slot] = await self._spawn()
        if self._stopping.is_set():
            worker.process.terminate()
        try:
            answered = await worker.is_ready()
            if answered:
                self._ready[slot].set()
                _log.info("worker_ready", pid=worker.process.pid)
            return await worker.process.wait(), answered
        finally:
            worker.channel.close()
            del self._workers[slot]

    async def _spawn(self) -> _Worker:
        if self._settings.metrics_dir:  # whoever tidies up temporary folders may have taken it
            os.makedirs(self._settings.metrics_dir, exist_ok=True)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fhir_server.cli.worker", self._app),
                *(str(self._listener.fileno()), str(theirs.fileno())),
                pass_fds=(self._listener.fileno(), theirs.fileno()),
                env=self._settings.environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for us; workers are told in order
            )
        return _Worker(process, ours)
