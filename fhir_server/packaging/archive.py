"""The archive of a package: gzip and tar from anybody, read within bounds. https://docs.npmjs.com/about-packages-and-modules

Nothing is unpacked to disk; the names in it are looked at all the same, since whoever writes one that leads elsewhere
means no good. How large it may be, packed and not, bounds the time it takes.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from collections.abc import AsyncIterable, Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fhir_server.api.errors import Failure, Malformed, TooLarge, Unprocessable
from fhir_server.api.packages import MAX_RESOURCE_BYTES
from fhir_server.packaging.tar import Entry, TarError, entries

MEGABYTE = 1024 * 1024
CHUNK = MEGABYTE
# Below this size no ratio is suspicious.
ALWAYS_ALLOWED = 64 * MEGABYTE
MAX_NAME = 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large an archive may be: packed, unpacked, in entries, in one file that is read, and unpacked by packed."""

    packed: int = 512 * MEGABYTE
    unpacked: int = 4096 * MEGABYTE
    entries: int = 100_000
    file: int = MAX_RESOURCE_BYTES
    ratio: int = 100


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that lies in a file here; `sha256` is that of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package by its path in there, `package/package.json`."""

    path: str
    raw: bytes


async def keep(chunks: AsyncIterable[bytes], path: Path, bounds: Bounds = BOUNDS) -> Archive:
    """Write an archive into a file as it comes. Raises TooLarge."""
    digest, size = hashlib.sha256(), 0
    with await asyncio.to_thread(path.open, "wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > bounds.packed:
                raise TooLarge(f"The archive has more than {bounds.packed} bytes, the most this server takes.")
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    return Archive(path, digest.hexdigest())


def files(path: Path, wanted: Callable[[str], bool], bounds: Bounds = BOUNDS) -> Generator[File, None, None]:
    """Yield the files whose paths are wanted, in the archive's order; all other entries are checked and passed over.

    Raises Malformed for what is no archive or is damaged, TooLarge past the bounds, Unprocessable for entries that no
    package has. Blocking.
    """
    with path.open("rb") as packed:
        try:
            yield from _files(_Unpacking(packed, bounds).read, wanted, bounds)
        except TarError as error:
            raise _failure(error) from None


def _files(read: Callable[[int], bytes], wanted: Callable[[str], bool], bounds: Bounds) -> Iterator[File]:
    seen: set[str] = set()
    for entry in entries(read):
        name = _checked(entry, seen)
        if len(seen) > bounds.entries:
            raise TooLarge(f"The archive has more than {bounds.entries} entries, the most this server takes.")
        if not entry.is_file or not wanted(name):
            continue
        if entry.size > bounds.file:
            text = f"{name} has {entry.size} bytes; this server keeps resources of up to {bounds.file} bytes."
            raise TooLarge(f"{text} Take it out of the package, and load a code system by itself.", location=name)
        yield File(name, entry.content())
    while read(MEGABYTE):  # the checksum of gzip stands at its end
        pass


def _checked(entry: Entry, seen: set[str]) -> str:
    """Return the path of an entry, which stays inside the archive and is there once."""
    name = entry.name.removeprefix("./").removesuffix("/")
    parts = name.split("/")
    if name in ("", "."):
        return name
    is_odd = len(name) > MAX_NAME or "\\" in name or ":" in parts[0] or not name.isprintable()
    if is_odd or "" in parts or ".." in parts:
        raise TarError("is a path that a package cannot have: it may lead outside", entry.name)
    if name in seen and entry.is_file:
        raise TarError("is there more than once", entry.name)
    seen.add(name)
    return name


def _failure(error: TarError) -> Failure:
    if not error.entry:
        return Malformed(str(error))
    shown = error.entry[:200].encode("unicode_escape").decode()
    return Unprocessable(f"The entry {shown} {error}.", location=shown)


class _Unpacking:
    """Reads gzip, and stops a bomb before it goes off. https://www.rfc-editor.org/rfc/rfc1952"""

    def __init__(self, packed: BinaryIO, bounds: Bounds) -> None:
        self._packed, self._bounds = packed, bounds
        self._file = gzip.GzipFile(fileobj=packed, mode="rb")
        self._given = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer only at the end."""
        try:
            chunk = self._file.read(size)
        except EOFError:
            raise Malformed("The gzip file breaks off before its end.") from None
        except (gzip.BadGzipFile, zlib.error):
            raise Malformed("This is no gzip file, or it is damaged. A package is a .tgz: tar in gzip.") from None
        self._given += len(chunk)
        if self._given > self._bounds.unpacked:
            raise TooLarge(f"The archive unpacks to more than {self._bounds.unpacked} bytes, the most that is taken.")
        if self._given > ALWAYS_ALLOWED and self._given > self._bounds.ratio * max(self._packed.tell(), 1):
            raise TooLarge(f"The archive unpacks to more than {self._bounds.ratio} times its size.")
        return chunk
