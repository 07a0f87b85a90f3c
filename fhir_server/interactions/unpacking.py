"""gzip unpacked as it comes, and a bomb known before it goes off. https://www.rfc-editor.org/rfc/rfc1952"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from fhir_server.api.errors import InvalidRequest

MAGIC = b"\x1f\x8b"
STEP = 1024 * 1024
# Below this size no ratio is suspicious.
ALWAYS_ALLOWED = 64 * 1024 * 1024
_GZIP = 31


class Unpacker:
    """Passes bytes on as they are, or unpacked where they begin as gzip does; several members may follow each other."""

    def __init__(self, max_ratio: int) -> None:
        self._max_ratio = max_ratio
        self._head = b""
        self._is_gzip: bool | None = None
        self._member: Any = None
        self._taken = self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes unpack to, in pieces of bounded size. Raises InvalidRequest."""
        if self._is_gzip is None:
            data = self._head = self._head + data
            if len(data) < len(MAGIC):
                return
            self._head = b""
            self._is_gzip = data.startswith(MAGIC)
        if not self._is_gzip:
            yield data
            return
        self._taken += len(data)
        while data := data if self._member else data.lstrip(b"\0"):  # members may be padded
            self._member = self._member or zlib.decompressobj(_GZIP)
            yield from self._unpacked(data)
            if not self._member.eof:
                return
            data, self._member = self._member.unused_data, None

    def finish(self) -> Iterator[bytes]:
        """Yield what was held back. Raises InvalidRequest when the last member has not come to its end."""
        if self._head:
            yield self._head
        if self._member is not None:
            raise InvalidRequest("The gzip file breaks off before its end.")

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        """Yield what a member makes of the bytes, up to its end or theirs."""
        while not self._member.eof:
            try:
                piece = self._member.decompress(data, STEP)
            except zlib.error:
                raise InvalidRequest("The gzip file is damaged.") from None
            self._given += len(piece)
            if self._given > ALWAYS_ALLOWED and self._given > self._max_ratio * self._taken:
                raise InvalidRequest(f"The gzip file unpacks to more than {self._max_ratio} times its size.")
            if piece:
                yield piece
            data = self._member.unconsumed_tail
            if not data and len(piece) < STEP:
                return
