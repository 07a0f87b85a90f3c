"""What a data directory knows about its embedded engine: which program, on what port, in which process.

Two files: `engine.lock` is held by the process that supervises the engine (the kernel lets go of it whatever way that
process ends), `engine.json` says where the engine is. A stale engine.json is recognised by the process's start time.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class State:
    """The engine of a directory. `pid` is 0 when it was stopped in order; `started` tells a reused pid apart."""

    program: str
    port: int
    pid: int = 0
    started: str = ""

    def is_running(self) -> bool:
        """Return whether the process this was written about still exists."""
        return self.pid > 0 and self.started != "" and start_time(self.pid) == self.started


def read_state(directory: Path) -> State | None:
    """Return what was last written, or None if there is nothing to be read."""
    try:
        return State(**json.loads((directory / "engine.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_state(directory: Path, state: State) -> None:
    """Replace the file in one step, so that no reader ever sees half of it."""
    draft = directory / "engine.json.new"
    draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
    draft.replace(directory / "engine.json")


def take_lock(directory: Path) -> IO[str] | None:
    """Return the held lock of the directory, or None if another process (or Engine) holds it. Closing lets go."""
    lock = (directory / "engine.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def start_time(pid: int) -> str:
    """Return when a living process was started, in the system's words, or '' if there is none (a zombie is none)."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            state, *rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if state in "ZX" else rest[18]
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()
