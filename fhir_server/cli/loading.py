"""The progress of a load from the command line: a bar, and a file from which the same command goes on after a stop.

The file lies with the user's caches, for neither the release's folder nor the database's need be writable.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Json = dict[str, Any]

_OF = re.compile(r"(\d+) of (\d+)")


class Line:
    """A job's line to whoever watches the terminal. Use it as a context: what leaves it unharmed is done."""

    def __init__(self, path: Path, asked: list[Any]) -> None:
        state = path.stat()
        told = json.dumps([str(path.resolve()), state.st_size, state.st_mtime_ns, asked], sort_keys=True)
        self._file = Path.home() / ".cache" / "fhir-server" / "loads" / f"{sha256(told.encode()).hexdigest()[:32]}.json"
        self._checkpoint = self._saved()
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task("going on" if self._checkpoint else "beginning", total=None)

    @property
    def checkpoint(self) -> Json:
        """What the last run saved; empty at the first."""
        return self._checkpoint

    async def save(self, checkpoint: Json, message: str) -> None:
        """Keep how far it is, as well as the disk allows, and show it."""
        found = _OF.search(message)
        done, total = (int(found[1]), int(found[2])) if found else (0, None)
        self._bar.update(self._task, description=message, completed=done, total=total)
        if checkpoint != self._checkpoint:
            self._checkpoint = checkpoint
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                new = self._file.with_suffix(".new")
                new.write_text(json.dumps(checkpoint), encoding="utf-8")
                new.replace(self._file)

    def __enter__(self) -> Line:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if error is None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _saved(self) -> Json:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        is_whole = isinstance(found, dict) and isinstance(found.get("key"), str) and type(found.get("batches")) is int
        return found if is_whole else {}
