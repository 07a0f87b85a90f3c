"""JSON as FHIR wants it: decimals keep their digits, duplicate members and bad UTF-8 are refused.

https://hl7.org/fhir/R4/json.html. Decoding gives plain dicts, lists, str, int, bool, None and Decimal.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

MAX_DEPTH = 64

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_UNCOUNTABLE = re.compile(rb'"[ \t\r\n]+:|\\u00(?:22|3[aA])')


class JsonError(ValueError):
    """The bytes are not acceptable JSON; the message says what and where, never quoting content."""


class WrittenDecimal(Decimal):
    """A Decimal that would be written in another way than it was: `0.00000001` as 1E-8, `1e2` as 1E+2."""

    __slots__ = ("text",)
    text: str


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
        if ("e" in text or "E" in text or "0.000000" in text) and str(value) != text:
            value = WrittenDecimal(text)
            value.text = text
    except InvalidOperation:
        raise JsonError(f"a number of {len(text)} digits cannot be read") from None
    return value


def _as_written(value: Any) -> msgspec.Raw:
    if isinstance(value, WrittenDecimal):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError(f"{type(value).__name__} has no JSON")


_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=_as_written).encode
_decode = msgspec.json.Decoder(float_hook=_decimal).decode


def encode(value: Any) -> bytes:
    """Return the compact UTF-8 JSON of a value; Decimals are written with the digits they hold."""
    return _encode(value)


def decode(raw: bytes) -> Any:
    """Return the value of JSON that a stranger sent.

    Raises JsonError on anything that is not JSON, on a member that appears twice in one object, on nesting deeper
    than MAX_DEPTH and on text that is not UTF-8.
    """
    try:
        value = _decode(raw)
    except msgspec.DecodeError as error:
        raise JsonError(str(error)) from None
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise JsonError(f"nested deeper than {MAX_DEPTH} levels") from None
    if _is_deep(raw, value):
        raise JsonError(f"nested deeper than {MAX_DEPTH} levels")
    _refuse_duplicates(raw, value)
    return value


def decode_stored(raw: bytes) -> Any:
    """Return the value of JSON that this server wrote itself: no checks."""
    return _decode(raw)


def _is_deep(raw: bytes, value: Any) -> bool:
    """Whether the nesting exceeds MAX_DEPTH: peel innermost pairs of brackets, one level a round.

    Brackets inside strings may leave a rest that does not peel; then the value itself is walked.
    """
    brackets = raw.translate(None, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        peeled = brackets.replace(b"{}", b".").replace(b"[]", b".")
        if len(peeled) == len(brackets):
            return _is_deep_value(value)
        brackets = peeled.replace(b".", b"")
    return bool(brackets) and _is_deep_value(value)


def _is_deep_value(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            children = item.values() if type(item) is dict else item if type(item) is list else ()
            below += [child for child in children if type(child) in (dict, list)]
        if not below:
            return False
        level = below
    return True


def _refuse_duplicates(raw: bytes, value: Any) -> None:
    """Refuse an object that names a member twice, which the decoder silently merges.

    Every member name ends in `":`. If the text has no more of these than the value written out again, no member was
    merged. Text in which names cannot be counted so, for a space before a colon or for escaped quotes and colons, takes
    the slow and exact way.
    """
    if raw.count(b'":') == encode(value).count(b'":') and not _UNCOUNTABLE.search(raw):
        return
    json.loads(raw, object_pairs_hook=_unique, parse_float=str, parse_int=str)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise JsonError(f"the member {twice[0][:64]!r} appears more than once in one object")
    return members
