"""The files of a release: those in a zip archive, or one file alone. Nothing is unpacked to disk, no name is trusted.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from fhir_server.api import InvalidRequest, Unprocessable
from terminology.loaders.findings import broken

MAX_FILES = 20_000
MAX_DIRECTORY = 16 * 1024**2
MAX_BYTES = 64 * 1024**3
MAX_RATIO = 250
ALWAYS_ALLOWED = 64 * 1024**2  # below this size no ratio is suspicious
MAX_LINE = 16 * 1024**2
_BUFFER = 1024**2

_MAGIC = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")  # the end of central directory record
_ENDING = b"PK\x05\x06"
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_UNTRUSTED = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0")


class Files:
    """What a release is made of. `name` is what its source was called: versions are often written there only."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        file.seek(0)
        if file.read(len(_MAGIC)) == _MAGIC:
            self._open_archive()

    @property
    def is_archive(self) -> bool:
        """Whether the release is a zip archive."""
        return self._zip is not None

    def names(self) -> list[str]:
        """Return the paths of the files; of a single file its name."""
        return list(self._members) if self._zip is not None else [self.name]

    def matching(self, pattern: str) -> list[str]:
        """Return the files whose path matches, in any case of letters, from a folder's name on."""
        wanted = re.compile(rf"(^|.*/){pattern}$", re.IGNORECASE)
        return sorted(name for name in self.names() if wanted.match(name))

    def one(self, pattern: str, what: str) -> str:
        """Return the file whose path matches. Raises Unprocessable when none does, or several do."""
        found = self.matching(pattern)
        if len(found) == 1:
            return found[0]
        if not found:
            raise Unprocessable(f"{self.name} has no {what}. Give the release as it was downloaded.")
        raise Unprocessable(f"{self.name} has {len(found)} files that could be {what}: {', '.join(found[:5])}.")

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file; what breaks while it is read is named by file."""
        if self._zip is None:
            self._file.seek(0)
            yield self._file
            return
        try:
            with self._member(name) as file:
                yield file
        except _DAMAGED as error:
            raise broken(name, 0, f"the archive is damaged here ({error}). Download it again.") from None

    def lines(self, name: str, encoding: str = "") -> Iterator[tuple[int, str]]:
        """Yield number and text of each line, without its end; UTF-8 if nothing else is said or marked (BOM).

        Raises Unprocessable for a line that is too long or is not in that encoding.
        """
        with self.open(name) as file:
            marked, skipped = _byte_order(file.read(4))
        known = encoding or marked or "utf-8"
        with self.open(name) as file:
            file.read(skipped)
            yield from _wide(name, file, known) if known.lower().startswith("utf-16") else _narrow(name, file, known)

    def _member(self, name: str) -> BinaryIO:
        assert self._zip is not None, "only archives have members"
        try:
            file = self._zip.open(self._members[name])
        except (*_DAMAGED, ValueError, struct.error, OSError) as error:
            raise broken(name, 0, f"the archive is damaged here ({error}). Download it again.") from None
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), _BUFFER))

    def _open_archive(self) -> None:
        self._check_directory()
        try:
            self._zip = zipfile.ZipFile(self._file)
        except (*_DAMAGED, OSError, ValueError, struct.error) as error:
            raise Unprocessable(f"{self.name} is no whole zip archive ({error}). Download it again.") from None
        rows = [row for row in self._zip.infolist() if not row.filename.endswith("/")]
        if len(rows) > MAX_FILES:
            raise Unprocessable(f"{self.name} has more than {MAX_FILES} files.")
        if sum(row.file_size for row in rows) > MAX_BYTES:
            raise Unprocessable(f"{self.name} unpacks to more than {MAX_BYTES // 1024**3} GB.")
        for row in rows:
            self._check_member(row)
        self._members = {row.filename: row for row in rows}

    def _check_directory(self) -> None:
        """Refuse an archive whose list of files is itself too much, before it is read."""
        self._file.seek(0, io.SEEK_END)
        size = self._file.tell()
        self._file.seek(max(0, size - 65_536 - _END.size))
        tail = self._file.read()
        at = tail.rfind(_ENDING)
        if at < 0 or len(tail) - at < _END.size:
            raise Unprocessable(f"{self.name} breaks off before the end of the archive. Download it again.")
        directory = _END.unpack_from(tail, at)[5]
        if directory > MAX_DIRECTORY:
            raise Unprocessable(f"{self.name} lists its files in more than {MAX_DIRECTORY // 1024**2} MB.")

    def _check_member(self, row: zipfile.ZipInfo) -> None:
        if _UNTRUSTED.search(row.orig_filename):
            raise Unprocessable(f"{self.name} has a file that would lie outside of it: {row.filename[:200]!r}.")
        if row.flag_bits & 1:
            raise Unprocessable(f"{row.filename} is encrypted. Give the archive unpacked and packed again without.")
        if row.file_size > ALWAYS_ALLOWED and row.file_size > MAX_RATIO * max(1, row.compress_size):
            raise Unprocessable(f"{row.filename} unpacks to more than {MAX_RATIO} times its size.")


def _byte_order(head: bytes) -> tuple[str, int]:
    """Return the encoding that a byte order mark tells, and how long the mark is."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            return name, len(mark)
    return "", 0


def _narrow(name: str, content: BinaryIO, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of an encoding in which a newline is one byte, and no part of a letter."""
    number = 0
    try:
        while raw := content.readline(MAX_LINE):
            number += 1
            if len(raw) == MAX_LINE:
                raise broken(name, number, f"the line has more than {MAX_LINE} bytes.")
            yield number, raw.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        text = (
            f"byte {error.start + 1} is no {encoding}. If the file has another encoding, give the parameter encoding."
        )
        raise broken(name, number, text) from None
    except LookupError:
        raise InvalidRequest(f"There is no encoding {encoding[:40]!r}.", location="http.encoding") from None


def _wide(name: str, content: BinaryIO, encoding: str) -> Iterator[tuple[int, str]]:
    number = 0
    text = io.TextIOWrapper(content, encoding, newline="")
    try:
        while line := text.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise broken(name, number, f"the line has more than {MAX_LINE} letters.")
            yield number, line.rstrip("\r\n")
    except UnicodeError:
        raise broken(name, number + 1, f"this is no {encoding}.") from None
    finally:
        text.detach()  # the file is not this reader's to close
