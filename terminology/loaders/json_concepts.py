"""CodeSystem resources read from JSON piece by piece, however large: heads, or concept after concept.

https://hl7.org/fhir/R4/json.html. A resource alone, the entries of a Bundle, or NDJSON. Memory holds one chunk of the
file and the concepts that are open: parents with their own members only.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from decimal import Decimal
from typing import IO, Any, NamedTuple

from fhir_server.api import JsonError, decode
from terminology.loaders.findings import broken

Json = dict[str, Any]

MAX_DEPTH = 100  # of concepts in concepts
MAX_PIECE = 16 * 1024 * 1024  # a concept without those below it; a resource without its concepts; a text
_CHUNK = 256 * 1024
_MARGIN = 128  # more than any name below with what may stand between it and its bracket
_TOKEN = re.compile(
    rb'("concept"\s{0,32}:\s{0,32}\[)|("entry"\s{0,32}:\s{0,32}\[)|("resource"\s{0,32}:\s{0,32}\{)'
    rb'|"[^"\\]*(?:\\.[^"\\]*)*"|("[^"\\]*(?:\\.[^"\\]*)*\\?\Z)|([{\[])|([}\]])',
    re.DOTALL,
)
_CONCEPTS, _ENTRIES, _RESOURCE, _UNFINISHED, _OPENS, _CLOSES = 1, 2, 3, 4, 5, 6
_BOM = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """A resource without its concepts, or a concept without those below it; `parent` is the code above it, or empty.

    `resource` counts the resources of the file; the Bundle around others is one too.
    """

    resource: int
    line: int
    value: Json
    parent: str = ""


class _Level:
    """An open resource or concept, whose bytes are kept, or a list of them, whose are not."""

    __slots__ = ("code", "kind", "line", "parts", "resource", "size")

    def __init__(self, kind: str, resource: int, line: int) -> None:
        self.kind, self.resource, self.line = kind, resource, line
        self.parts: list[bytes] = []
        self.size = 0
        self.code = ""


class Reading:
    """One walk through a file: for the resources without their concepts, or for the concepts of some of them.

    Raises Unprocessable, by file and line, for what is no JSON, for pieces too large, and for concepts in concepts
    deeper than 100. A concept comes after those below it.
    """

    def __init__(self, name: str, file: IO[bytes], wanted: frozenset[int] | None = None) -> None:
        self._name, self._file = name, file
        self._wanted = wanted
        self._buffer = b""
        self._counted, self._line = 0, 1  # how far newlines are counted
        self._start = 0  # where what is kept of the innermost level goes on
        self._levels: list[_Level] = []
        self._depth = 0  # of objects and arrays in the innermost level
        self._resources = 0

    def pieces(self) -> Iterator[Piece]:
        """Yield the resources, or the concepts."""
        at_end, first = False, True
        while not at_end:
            chunk = self._file.read(_CHUNK)
            at_end = not chunk
            self._buffer += chunk.removeprefix(_BOM) if first else chunk
            first = False
            done = yield from self._tokens(at_end=at_end)
            self._shift(done)
        if self._levels:
            raise broken(self._name, self._line, "the file ends before its JSON does.")
        if not self._resources:
            raise broken(self._name, 0, "there is no JSON object in this file.")

    def _tokens(self, *, at_end: bool) -> Generator[Piece, None, int]:
        """Yield the pieces that end in the buffer, and return how far it is understood."""
        end = len(self._buffer) if at_end else len(self._buffer) - _MARGIN
        done = 0
        for token in _TOKEN.finditer(self._buffer):
            if token.end() > end or token.lastindex == _UNFINISHED:
                return min(token.start(), max(done, end))
            done = token.end()
            if token.lastindex is None:
                continue
            if token.lastindex == _CLOSES:
                if self._depth:
                    self._depth -= 1
                else:
                    piece = self._close(token)
                    if piece is not None:
                        yield piece
            else:
                self._open(token)
        return max(done, end)

    def _open(self, token: re.Match[bytes]) -> None:
        top = self._levels[-1] if self._levels else None
        kind = "" if top is None or self._depth else top.kind
        what = token.lastindex
        if top is None:
            if token[0] != b"{":
                raise broken(self._name, self._line_at(token.start()), "this is no JSON object.")
            self._begin("resource", token.start(), self._resources)
            self._resources += 1
        elif what == _CONCEPTS and kind in ("resource", "concept"):
            self._begin_concepts(top, token)
        elif what == _ENTRIES and kind == "resource" and len(self._levels) == 1:
            self._cut(top, token.end())
            self._levels.append(_Level("entries", top.resource, 0))
        elif what == _RESOURCE and kind == "entry":
            self._begin("resource", token.end() - 1, self._resources)
            self._resources += 1
        elif what == _OPENS and kind == "concepts" and self._wanted is not None and top.resource in self._wanted:
            self._begin("concept", token.start(), top.resource)
        elif what == _OPENS and kind == "entries":
            self._levels.append(_Level("entry", top.resource, 0))
        else:
            self._depth += 1

    def _begin(self, kind: str, start: int, resource: int) -> None:
        self._levels.append(_Level(kind, resource, self._line_at(start)))
        self._start = start

    def _begin_concepts(self, top: _Level, token: re.Match[bytes]) -> None:
        self._cut(top, token.end())
        level = _Level("concepts", top.resource, 0)
        if top.kind == "concept":
            if len(self._levels) > 2 * MAX_DEPTH:
                raise broken(self._name, self._line_at(token.start()), f"concepts are nested deeper than {MAX_DEPTH}.")
            code = self._decoded(top, [*top.parts, b"]}"]).get("code")
            if not isinstance(code, str) or not code:
                raise broken(self._name, top.line, "a concept must have its code before the concepts below it.")
            top.code = level.code = code
        self._levels.append(level)

    def _close(self, token: re.Match[bytes]) -> Piece | None:
        """End the innermost level; return the piece that is now whole, if it is one that is asked for."""
        if not self._levels:
            raise broken(self._name, self._line_at(token.start()), "there is a bracket too many.")
        level = self._levels.pop()
        is_list = level.kind in ("concepts", "entries")
        if (token[0] == b"]") is not is_list:
            raise broken(self._name, self._line_at(token.start()), "brackets do not match.")
        if is_list:
            self._start = token.start()
            return None
        if level.kind == "entry" or (level.kind == "resource") is not (self._wanted is None):
            return None
        self._cut(level, token.end())
        value = self._decoded(level, level.parts)
        if value.get("concept"):
            raise broken(self._name, level.line, "the blank space before a list of concepts is too long.")
        value.pop("concept", None)
        return Piece(level.resource, level.line, value, self._levels[-1].code if self._levels else "")

    def _cut(self, level: _Level, end: int) -> None:
        """Keep what was read of a level since the last cut."""
        if level.kind not in ("resource", "concept") or (level.kind == "resource" and self._wanted is not None):
            return
        part = self._buffer[self._start : end]
        level.size += len(part)
        if level.size > MAX_PIECE:
            raise broken(self._name, level.line, f"this {level.kind} has more than {MAX_PIECE} bytes of its own.")
        level.parts.append(part)
        self._start = end

    def _decoded(self, level: _Level, parts: list[bytes]) -> Json:
        try:
            value = decode(b"".join(parts))
        except JsonError as error:
            raise broken(self._name, level.line, f"the {level.kind} that begins here is no JSON: {error}.") from None
        assert isinstance(value, dict), "it begins with a brace"
        return {name: _plain(one) for name, one in value.items()}

    def _line_at(self, place: int) -> int:
        self._line += self._buffer.count(b"\n", self._counted, place)
        self._counted = max(self._counted, place)
        return self._line

    def _shift(self, done: int) -> None:
        """Forget what is read, save for what is kept of the innermost level."""
        self._line_at(done)
        top = self._levels[-1] if self._levels else None
        if top is not None:
            self._cut(top, done)
        self._buffer = self._buffer[done:]
        self._counted = self._start = 0
        if len(self._buffer) > MAX_PIECE:
            raise broken(self._name, self._line, f"a text has more than {MAX_PIECE} bytes.")


def _plain(value: Any) -> Any:
    """Return a value with its decimals as such: how they were written is only kept of resources."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return Decimal(value) if isinstance(value, Decimal) else value
