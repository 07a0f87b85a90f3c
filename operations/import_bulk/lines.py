"""NDJSON taken apart as it comes, from any byte on. https://github.com/ndjson/ndjson-spec"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

MAX_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without its end. `end` is the byte after it; `raw` is None when it is longer than MAX_LINE."""

    number: int
    end: int
    raw: bytes | None


async def lines(chunks: AsyncIterator[bytes], *, offset: int = 0, number: int = 0) -> AsyncIterator[Line]:
    """Yield the lines that begin at byte `offset` or later; `number` lines come before that. Empty ones are left out.

    Never holds more than one line and one chunk; a line that is too long is passed over, not held.
    """
    at = 0
    parts: list[bytes] = []
    held, begun = 0, offset
    async for whole in chunks:
        chunk = whole[max(0, offset - at) :]
        at += len(whole)
        if not chunk:
            continue
        first, *others = chunk.split(b"\n")
        held = _hold(parts, held, first)
        for piece in others:
            number += 1
            begun += held + 1
            line = _line(number, begun, parts, held)
            if line is not None:
                yield line
            parts.clear()
            held = _hold(parts, 0, piece)
    if held:
        line = _line(number + 1, begun + held, parts, held)
        if line is not None:
            yield line


def _hold(parts: list[bytes], held: int, piece: bytes) -> int:
    """Keep another piece of the line, unless the line is too long to be kept; return its length so far."""
    held += len(piece)
    if held <= MAX_LINE:
        parts.append(piece)
    else:
        parts.clear()
    return held


def _line(number: int, end: int, parts: list[bytes], held: int) -> Line | None:
    if held > MAX_LINE:
        return Line(number, end, None)
    raw = b"".join(parts).strip()
    return Line(number, end, raw) if raw else None
