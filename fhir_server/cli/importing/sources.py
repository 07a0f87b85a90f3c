"""Files and folders become sources, in the order they must be sent: what others refer to comes first.

NDJSON: https://github.com/ndjson/ndjson-spec. gzip is known by its first bytes, whatever the file is called.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from fhir_server.cli.failing import CommandError

ENDINGS = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
# What records refer to without owning it. Files of nothing else go first.
SHARED = frozenset({b"Organization", b"Location", b"Practitioner", b"PractitionerRole"})
JUDGED_BYTES = 16 * 1024 * 1024  # a file's kind shows early; a long one is not read twice
UNREADABLE = (OSError, EOFError, zlib.error)

_GZIP = b"\x1f\x8b"
_TYPE = re.compile(rb'"resourceType"\s*:\s*"(\w+)"')
_CONDITIONAL = re.compile(rb'"reference"\s*:\s*"[A-Z][A-Za-z]+\?')


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import. `stage` is when: a stage begins when everything of the one before is stored."""

    path: Path
    size: int
    stage: int = 0

    @property
    def is_lines(self) -> bool:
        """Whether every line is a resource."""
        return self.path.name.lower().removesuffix(".gz").endswith(".ndjson")

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Yield the content, and the file itself, whose position tells how far the reading is."""
        with self.path.open("rb") as file:
            is_packed = file.read(2) == _GZIP
            file.seek(0)
            if not is_packed:
                yield file, file
                return
            with gzip.open(file) as content:
                yield cast(BinaryIO, content), file


def find(paths: Iterable[Path]) -> list[Source]:
    """Return the files to import, each once. Raises CommandError for a path that is not there or has none."""
    found: dict[Path, Path] = {}
    for path in paths:
        files = _below(path) if path.is_dir() else [path]
        if not path.exists():
            raise CommandError(f"{path} does not exist")
        if not files:
            raise CommandError(f"{path} has nothing to import; files must end in {', '.join(ENDINGS)}")
        for file in files:
            found.setdefault(file.resolve(), file)
    return [Source(file, file.stat().st_size) for file in found.values()]


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Return the sources with their stages, in the order of sending: those that hold nothing but SHARED first.

    A conditional reference (`Practitioner?identifier=x`) must find its target stored, so files with some wait for all
    files without. What a file holds decides, not what it is called.
    """
    judged = [Source(source.path, source.size, _stage(source)) for source in sources]
    return sorted(judged, key=lambda source: source.stage)


def _below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.name.lower().endswith(ENDINGS) and path.is_file())
    return sorted(path for path in files if not path.name.startswith("."))


def _stage(source: Source) -> int:
    try:
        with source.open() as (content, _):
            head = content.read(JUDGED_BYTES)
    except UNREADABLE:
        return 1  # the reading to come says what is wrong
    types = {found[1] for found in _TYPE.finditer(head)} - {b"Bundle"}
    return 2 * bool(_CONDITIONAL.search(head)) + (not types <= SHARED)
