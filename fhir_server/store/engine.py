"""The embedded engine: a database process of our own on a loopback port, kept alive. docs/guide/run-it.md

For trying and for tests; production is a MongoDB of its own (FHIR_MONGODB_URL).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any

import structlog
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from fhir_server.store.engine_probe import answers, client, free_port, is_free, listens
from fhir_server.store.engine_programs import EngineError, Program, find_program
from fhir_server.store.engine_state import State, read_state, start_time, take_lock, write_state

LOG_BYTES = 10_000_000
STOP_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_log = structlog.get_logger("fhir_server.engine")


class Engine:
    """One database process on one directory. Blocking: from a coroutine call `start` and `stop` by asyncio.to_thread.

    While it is started, a process that dies is started again on the same port and directory, so `url` stays good. If
    our own process is killed, the engine is ended by the kernel (Linux) or by the next start on the directory.
    """

    def __init__(self, directory: Path, *, program: str = "", cache_mb: int = 1024, patience: float = 60) -> None:
        """`program` forces one of engine_programs.NAMES; `patience` is how many seconds a start may take."""
        self.directory = directory.absolute()
        self._forced, self._cache_mb, self._patience = program, cache_mb, patience
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._outcome: SimpleQueue[EngineError | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._program: Program | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The URL to connect with, good until `stop` whatever happens to the process."""
        if self._program is None:
            raise EngineError("the engine has not been started")
        return self._program.url(self._port)

    @property
    def pid(self) -> int:
        """The process serving now, 0 if there is none at the moment."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def program(self) -> str:
        """The name of the program, '' before the start."""
        return self._program.name if self._program else ""

    def alive(self) -> bool:
        """Return whether the engine answers now."""
        return self.pid > 0 and answers(self.url, timeout=2)

    def start(self) -> None:
        """Start the engine and return when it answers. EngineError says why it cannot and what to do."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = take_lock(self.directory)
        if self._lock is None:
            raise EngineError(f"{self.directory} is in use by another server; stop that one or take another directory")
        try:
            self._settle()
        except EngineError:
            self._let_go()
            raise
        self._stopping.clear()
        # The kernel's tie to the parent is one to the *thread* that starts the child: so the thread that lives as long
        # as the engine starts it.
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
        self._thread.start()
        if failure := self._outcome.get():
            self.stop()
            raise failure

    def stop(self) -> None:
        """End the engine in order, by force if it does not within the patience; does nothing if it is not started."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        self._let_go()

    def kill(self) -> None:
        """End the engine now; it loses nothing, but its next start is slower. A `start` that is waiting fails."""
        self._stopping.set()
        process = self._process
        if process and process.poll() is None:
            process.kill()

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _settle(self) -> None:
        """Decide program and port: those of the last start, or the directory's data would seem to be gone."""
        state = read_state(self.directory)
        if state and state.is_running():
            _end_orphan(state)
        before = state.program if state else ""
        if before and self._forced and before != self._forced:
            raise EngineError(
                f"{self.directory} holds data of {before} and FHIR_ENGINE asks for {self._forced}; "
                "leave FHIR_ENGINE out or take another directory"
            )
        self._program = find_program(self._forced or before)
        self._port = state.port if state and is_free(state.port) else free_port()

    def _supervise(self) -> None:
        try:
            self._start_once()
        except (EngineError, OSError, PyMongoError) as error:
            self._end()
            self._outcome.put(EngineError(str(error)))
            return
        self._outcome.put(None)
        while not self._stopping.wait(0.05):
            if self._process and self._process.poll() is not None:
                _log.warning("engine_ended", code=self._process.returncode, port=self._port)
                self._start_again()
        self._end()

    def _start_again(self) -> None:
        """Start until it answers, a little slower each time: there is nothing better to do without a database."""
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self._start_once()
            except (EngineError, OSError, PyMongoError) as error:
                self._end()
                pause = min(pause * 2 + 0.1, 5)
                _log.error("engine_does_not_start", reason=str(error), next_in=pause)
            else:
                _log.info("engine_started", pid=self.pid, port=self._port)
                return

    def _start_once(self) -> None:
        assert self._program
        with _log_file(self.directory) as log:
            self._process = subprocess.Popen(
                self._program.command(self.directory, self._port, self._cache_mb),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the engine last
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        pid = self._process.pid
        write_state(self.directory, State(self._program.name, self._port, pid, start_time(pid)))
        self._await_answer(self._process, self._program)

    def _await_answer(self, process: subprocess.Popen[bytes], program: Program) -> None:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and not self._stopping.is_set():
            if process.poll() is not None:
                raise EngineError(f"{program.name} ended at once{self._last_words()}")
            if listens(self._port):
                with client(program.url(self._port), timeout=max(deadline - time.monotonic(), 1)) as database:
                    program.prepare(database, self._port)
                    _await_primary(database, deadline)
                return
            time.sleep(0.02)
        raise EngineError(f"{program.name} did not answer within {self._patience:.0f} s{self._last_words()}")

    def _last_words(self) -> str:
        path = self.directory / "engine.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
        return f"; the last line of {path}: {lines[-1][:300]}" if lines else f"; {path} is empty"

    def _end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        if self._program:
            write_state(self.directory, State(self._program.name, self._port))

    def _let_go(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None


def running_engine(directory: Path) -> str | None:
    """Return the URL of the engine that serves a directory now, whoever started it, or None."""
    state = read_state(directory)
    if state is None or not state.is_running():
        return None
    url = Program(state.program, Path()).url(state.port)
    return url if answers(url, timeout=5) else None


def _await_primary(database: MongoClient[dict[str, Any]], deadline: float) -> None:
    while not database.admin.command("hello").get("isWritablePrimary"):
        if time.monotonic() > deadline:
            raise EngineError(
                "the engine answers but does not become writable; remove its directory or look at its log"
            )
        time.sleep(0.05)


def _end_orphan(state: State) -> None:
    """End the engine that a killed supervisor left behind: it has the files open, and nobody would restart it.

    By force, which loses nothing: every commit is on disk. (Asked to end twice, secantusd-py never does.)
    """
    _log.info("engine_orphan_ends", pid=state.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP_SECONDS
    while state.is_running():
        if time.monotonic() > deadline:
            raise EngineError(f"process {state.pid}, an engine left behind, does not end; end it and try again")
        time.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # SIGTERM would come once per thread of ours that ends


def _log_file(directory: Path) -> IO[bytes]:
    path = directory / "engine.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(directory / "engine.log.1")
    return path.open("ab")
