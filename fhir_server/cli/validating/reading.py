"""The resources in files: JSON or XML, a file each, or NDJSON, a line each; gzip or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fhir_server.cli.failing import CommandError
from fhir_server.cli.importing.sources import UNREADABLE, Source
from fhir_server.fhir import xml
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.outcomes import Issue

MAX_LINE = 16 * 1024 * 1024
ENDINGS = (".json", ".ndjson", ".xml")
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Found:
    """A resource in a file, or why there is none. `line` is 0 where the file is one resource."""

    file: str
    line: int
    resource: Any
    issue: Issue | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.file}:{self.line}" if self.line else self.file


def sources(paths: Iterable[Path]) -> list[Source]:
    """Return the files to read. Raises CommandError for what is not there, and for folders with nothing to validate."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} does not exist")
        files = _below(path) if path.is_dir() else [path]
        if not files:
            raise CommandError(
                f"{path} has nothing to validate; files must end in {', '.join(ENDINGS)} or those with .gz"
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    return [Source(file, file.stat().st_size) for file in found.values()]


def resources(source: Source) -> Iterator[Found]:
    """Yield what a file holds, one after the other, so that a large NDJSON never lies in memory whole."""
    name = str(source.path)
    try:
        with source.open() as (content, _):
            if source.is_lines:
                yield from _lines(name, content)
            else:
                yield _one(name, 0, content.read(), is_xml=name.lower().removesuffix(".gz").endswith(".xml"))
    except UNREADABLE as error:
        yield Found(name, 0, None, Issue("incomplete", f"The file cannot be read: {error}.", severity="fatal"))


def _lines(name: str, content: BinaryIO) -> Iterator[Found]:
    number = 0
    while line := content.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            yield Found(name, number, None, Issue("too-long", f"A line may have {MAX_LINE} bytes.", severity="fatal"))
            return
        if line.strip():
            yield _one(name, number, line, is_xml=False)


def _one(name: str, line: int, raw: bytes, *, is_xml: bool) -> Found:
    try:
        return Found(name, line, xml.decode(raw) if is_xml else decode(raw.removeprefix(_MARK)))
    except JsonError as error:
        return Found(name, line, None, Issue("structure", f"This is no JSON: {error}.", severity="fatal"))
    except xml.XmlError as error:
        return Found(name, line, None, Issue("structure", f"This is no FHIR XML: {error}.", severity="fatal"))


def _below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.name.lower().removesuffix(".gz").endswith(ENDINGS))
