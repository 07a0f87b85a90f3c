"""Signed cursors: where the next page begins, bound to the query and the tenant it belongs to.

A cursor names the last entry shown, so that no page skips or repeats what did not change, however many write meanwhile.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from fhir_server.api.criteria import Position
from fhir_server.api.errors import InvalidRequest

CURSOR = "_cursor"
_MAC_BYTES = 16


class CursorSigner:
    """Signs positions with the deployment's secret, so that a client cannot make up its own."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()

    def sign(self, position: Position | tuple[str | int, ...], bound_to: Iterable[str]) -> str:
        """Return the cursor of a position in the result of a query; `bound_to` are the texts that identify it."""
        fields = position if isinstance(position, tuple) else (position.value, position.key, position.version)
        payload = msgspec.json.encode(fields)
        return urlsafe_b64encode(self._mac(payload, bound_to) + payload).decode().rstrip("=")

    def read(self, cursor: str, bound_to: Iterable[str]) -> list[str | int]:
        """Return the fields of a cursor. Raises InvalidRequest when it was changed or belongs to another query."""
        try:
            raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        payload = raw[_MAC_BYTES:]
        if not payload or not hmac.compare_digest(raw[:_MAC_BYTES], self._mac(payload, bound_to)):
            raise InvalidRequest(
                "The page link is not one this server gave for this query. Start again from the first page.",
                location=f"http.{CURSOR}",
            )
        fields: list[str | int] = msgspec.json.decode(payload)
        return fields

    def position(self, cursor: str, bound_to: Iterable[str]) -> Position:
        """Return the position of a cursor made from one."""
        value, key, version = self.read(cursor, bound_to)
        return Position(int(value), str(key), int(version))

    def _mac(self, payload: bytes, bound_to: Iterable[str]) -> bytes:
        bound = "\x1f".join(bound_to).encode()
        return blake2b(
            blake2b(bound, digest_size=16).digest() + payload, digest_size=_MAC_BYTES, key=self._key
        ).digest()
