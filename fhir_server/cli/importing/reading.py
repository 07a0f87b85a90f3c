"""Sources become shipments; what cannot be read is named and left out, and the rest goes on.

Memory stays flat: one Bundle, or one shipment's lines, at a time. docs/guide/import.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from fhir_server.cli.importing.shipments import Place, Record, Refusal, Shipment, of_bundle, resource, together
from fhir_server.cli.importing.sources import UNREADABLE, Source
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.outcomes import Issue

MEGABYTE = 1024 * 1024
MAX_TOGETHER = 500
MAX_TOGETHER_BYTES = 4 * MEGABYTE
MAX_LINE_BYTES = 16 * MEGABYTE  # no database document is larger
MAX_FILE_BYTES = 512 * MEGABYTE  # one that is not NDJSON is one request

Advance = Callable[[int], None]
_BOM = b"\xef\xbb\xbf"


def shipments(sources: Iterable[Source], advance: Advance) -> Iterator[Shipment | Refusal]:
    """Yield what the sources hold, in their order; `advance` is told the bytes of the files as they are read."""
    waiting: list[Record] = []
    size = 0
    for source in sources:
        for found in _read(source, advance):
            if not isinstance(found, Record):
                yield found
                continue
            if waiting and (len(waiting) == MAX_TOGETHER or size + len(found.entry) > MAX_TOGETHER_BYTES):
                yield together(waiting)
                waiting, size = [], 0
            waiting.append(found)
            size += len(found.entry)
    if waiting:
        yield together(waiting)


def _read(source: Source, advance: Advance) -> Iterator[Record | Shipment | Refusal]:
    told = 0
    place = Place(str(source.path))
    try:
        with source.open() as (content, file):
            for place, raw in _texts(source, content):
                yield from _found(place, raw, source.is_lines)
                now = min(file.tell(), source.size)
                advance(now - told)
                told = now
    except UNREADABLE as error:
        yield _unreadable(place, source, error)
    advance(source.size - told)


def _texts(source: Source, content: BinaryIO) -> Iterator[tuple[Place, bytes | None]]:
    """Yield each JSON text with its place; None is one that is too long to be read."""
    file = str(source.path)
    if not source.is_lines:
        raw = content.read(MAX_FILE_BYTES + 1)
        yield Place(file), raw if len(raw) <= MAX_FILE_BYTES else None
        return
    number = 0
    while line := content.readline(MAX_LINE_BYTES + 1):
        number += 1
        is_long = len(line) > MAX_LINE_BYTES
        while is_long and line and not line.endswith(b"\n"):
            line = content.readline(MAX_LINE_BYTES)
        if is_long or line.strip():
            yield Place(file, number), None if is_long else line.strip()


def _found(place: Place, raw: bytes | None, is_line: bool) -> Iterator[Record | Shipment | Refusal]:
    if raw is None:
        yield _too_long(place, is_line)
        return
    raw = raw.removeprefix(_BOM)
    try:
        value: Any = decode(raw)
    except JsonError as error:
        yield _not_json(place, raw, is_line, error)
        return
    if isinstance(value, dict) and value.get("resourceType") == "Bundle":
        if made := of_bundle(place, value, raw):
            yield made
    else:
        yield resource(place, value, raw)


def _too_long(place: Place, is_line: bool) -> Refusal:
    what, limit = ("line", MAX_LINE_BYTES) if is_line else ("file", MAX_FILE_BYTES)
    way_out = "" if is_line else " Divide it, or write its resources as NDJSON, which has no limit."
    return Refusal(place, (Issue("too-long", f"The {what} has more than {limit // MEGABYTE} MB.{way_out}"),))


def _not_json(place: Place, raw: bytes, is_line: bool, error: JsonError) -> Refusal:
    text = f"Not acceptable JSON: {error}."
    if not is_line and b"}\n{" in raw.replace(b"\r", b""):
        text += " It looks like one resource a line: call the file .ndjson."
    return Refusal(place, (Issue("structure", text),))


def _unreadable(place: Place, source: Source, error: Exception) -> Refusal:
    where = Place(place.file, place.line + 1) if source.is_lines and place.line else place
    if isinstance(error, OSError) and error.strerror:
        text = f"The file cannot be read: {error.strerror}."
    else:
        kept = "The lines before this one are imported" if source.is_lines else "Nothing of it is imported"
        text = f"The gzip is broken: {error}. {kept}; make or fetch the file again."
    return Refusal(where, (Issue("structure", text),))
