"""A whole server in processes of its own, as people run it: `fhir-server serve` with workers and an embedded engine.

docs/guide/run-it.md. Only Linux tells who the children of a process are, so that a test can kill one of them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from fhir_server.store.engine_state import read_state

ROOT = Path(__file__).parents[1]
KEPT_SETTINGS = ("FHIR_ENGINE", "FHIR_MONGODB_DRIVER")
STOP_SECONDS = 30


class RunningServer:
    """A supervisor and what it started. `url` is the base URL of the FHIR API."""

    def __init__(self, data: Path, workers: int, settings: dict[str, str]) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FHIR_") or k in KEPT_SETTINGS}
        self._data = data / "engine"
        self._log = (data / "server.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fhir_server", "serve", "--port", "0", "--workers", str(workers)],
            env=environment
            | {"FHIR_DATA_DIR": str(self._data), "FHIR_LOG_LEVEL": "warning", "NO_COLOR": "1"}
            | settings,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout
        found = re.search(r" at (http://\S+)", self._process.stdout.readline())
        if found is None:
            self.stop()
            raise AssertionError(f"the server did not start: {(data / 'server.log').read_text()[-2000:]}")
        self.url = found[1]

    def workers(self) -> list[int]:
        """Return the worker processes there are now."""
        pid = self._process.pid
        children = [p for task in Path(f"/proc/{pid}/task").iterdir() for p in _words(task / "children")]
        return [int(child) for child in children if b"fhir_server.cli.worker" in _bytes(Path(f"/proc/{child}/cmdline"))]

    def engine(self) -> int:
        """Return the database process there is now."""
        state = read_state(self._data)
        assert state is not None
        return state.pid

    def answers(self) -> bool:
        """Whether a search is answered now."""
        try:
            return httpx.get(f"{self.url}/Patient?_count=1", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def seconds_to_answer(self, patience: float) -> float:
        """Wait until a search is answered and return how long it took; fail after `patience` seconds."""
        began = time.monotonic()
        while not self.answers():
            assert time.monotonic() - began < patience, f"no answer within {patience} s"
            time.sleep(0.05)
        return time.monotonic() - began

    def stop(self) -> None:
        """End the server in order, by force if it does not."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._log.close()


def resident_megabytes(pid: int) -> float:
    """Return the memory a process has in RAM. https://www.kernel.org/doc/html/latest/filesystems/proc.html"""
    pages = int(_words(Path(f"/proc/{pid}/statm"))[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


@contextmanager
def running_server(data: Path, *, workers: int = 1, **settings: str) -> Iterator[RunningServer]:
    """Start a server that keeps its data in a folder, and stop it at the end; `settings` are FHIR_* names."""
    server = RunningServer(data, workers, settings)
    try:
        yield server
    finally:
        server.stop()


def _words(path: Path) -> list[str]:
    return _bytes(path).decode().split()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended in this moment
        return b""
