"""tar as it comes, entry by entry: files and folders, and nothing that could point outside.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13. The library's tarfile takes a header
that is damaged for the end of the archive, and so would leave out the rest of a package without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

BLOCK = 512
STEP = 64 * 1024
# What describes the next entry (its long name) is read whole, so it has an end.
MAX_DESCRIPTION = 64 * 1024
_CHECKSUM = slice(148, 156)

Read = Callable[[int], bytes]


class TarError(Exception):
    """The archive is damaged, or has what no package needs; the message says what, `entry` where."""

    def __init__(self, text: str, entry: str = "") -> None:
        super().__init__(text)
        self.entry = entry


@dataclass(slots=True)
class Entry:
    """A file or a folder of an archive. Its content can be read until the next one is asked for."""

    name: str
    size: int
    is_file: bool
    _read: Read
    _left: int

    def content(self) -> bytes:
        """Return the whole content; who asks has looked at the size."""
        chunks = []
        while self._left:
            chunks.append(self._next())
        return b"".join(chunks)

    def skip(self) -> None:
        """Pass over what was not read, and over the padding."""
        while self._left:
            self._next()
        _exactly(self._read, -self.size % BLOCK)

    def _next(self) -> bytes:
        chunk = _exactly(self._read, min(STEP, self._left))
        self._left -= len(chunk)
        return chunk


def entries(read: Read) -> Iterator[Entry]:
    """Yield the entries of a tar stream. Raises TarError; `read` gives fewer bytes than asked only at the end."""
    described: dict[str, str] = {}
    header = read(BLOCK)
    if not header:
        raise TarError("The archive is empty.")
    while header.strip(b"\0"):
        if len(header) < BLOCK:
            raise TarError("The tar archive breaks off before its end.")
        kind = header[156:157]
        if kind in (b"x", b"g", b"L"):
            described |= _description(_entry(header, read, {}), kind)
        else:
            entry = _entry(header, read, described)
            if kind not in (b"0", b"\0", b"5", b"7"):
                raise TarError("is no file and no folder; a package has no links and devices", entry.name)
            described = {}
            yield entry
            entry.skip()
        header = read(BLOCK)


def _entry(header: bytes, read: Read, described: dict[str, str]) -> Entry:
    if sum(header) - sum(header[_CHECKSUM]) + 8 * 32 != _octal(header[_CHECKSUM]):
        raise TarError("This is no tar archive, or it is damaged: the checksum of a header is wrong.")
    name = _text(header[:100])
    if header[257:262] == b"ustar" and (prefix := _text(header[345:500]) if header[262:263] == b"\0" else ""):
        name = f"{prefix}/{name}"
    size = int(described["size"]) if "size" in described else _octal(header[124:136])
    is_file = header[156:157] != b"5"
    return Entry(described.get("path", name), size, is_file, read, size)


def _description(entry: Entry, kind: bytes) -> dict[str, str]:
    """Return what an extended header says of the next entry."""
    if entry.size > MAX_DESCRIPTION:
        raise TarError("has a description that is longer than any package needs", entry.name)
    raw = entry.content()
    entry.skip()
    if kind == b"L":
        return {"path": _text(raw)}
    found = _records(raw)
    if kind == b"g" and found:
        raise TarError("has a name or size for all entries, which no package needs", entry.name)
    return found


def _records(raw: bytes) -> dict[str, str]:
    """Return path and size of pax records, `length key=value\\n` each."""
    found = {}
    while raw:
        digits, _, _ = raw.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 7 else 0
        if not len(digits) + 1 < length <= len(raw) or raw[length - 1 : length] != b"\n":
            raise TarError("An extended header of the tar archive is damaged.")
        key, _, value = raw[len(digits) + 1 : length - 1].partition(b"=")
        raw = raw[length:]
        if key == b"path":
            found["path"] = _text(value)
        if key == b"size":
            if not value.isdigit() or len(value) > 15:
                raise TarError("An extended header of the tar archive is damaged.")
            found["size"] = value.decode()
        if key.startswith(b"GNU.sparse"):
            raise TarError("A package has no sparse files.")
    return found


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("This is no tar archive, or it is damaged: a number in a header cannot be read.")
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    try:
        return field.partition(b"\0")[0].decode()
    except UnicodeDecodeError:
        raise TarError("A name in the tar archive is not UTF-8.") from None


def _exactly(read: Read, size: int) -> bytes:
    chunk = read(size) if size else b""
    if len(chunk) < size:
        raise TarError("The tar archive breaks off before its end.")
    return chunk
