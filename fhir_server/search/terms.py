"""Index terms: what a search value hashes to, and the ordered strings that ranges are asked of.

A term is the 64-bit keyed BLAKE2b hash of `Type.parameter` and a value in one of its forms. The key is the tenant's, so
the index is small and holds nothing readable. https://www.rfc-editor.org/rfc/rfc7693
"""

from __future__ import annotations

import struct
import unicodedata
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

# Separates the parts of a term's text; it cannot occur in FHIR text (https://hl7.org/fhir/R4/datatypes.html#string).
SEPARATOR = "\x1f"
ANY_SYSTEM = "\x1e"
EXACT = "\x1d"
# Sorts after every character that a folded text can hold.
LAST = "\U0010ffff"

MAX_CACHED = 200_000
MAX_STRING = 200
_TIME_OFFSET = 1 << 47
_PREFIX_BYTES = 5


class TermHash:
    """Hashes the texts of one tenant's terms; remembers those it has seen, for codes and patients come again."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """Return the signed 64-bit term of a text."""
        term = self._known.get(text)
        if term is None:
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
            term = int.from_bytes(digest, "big", signed=True)
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[text] = term
        return term


@lru_cache(maxsize=16_384)
def range_prefix(parameter: str) -> str:
    """Return the short fixed-length name of a parameter (`Patient.family`, `Observation.date␟low`) in range strings."""
    return blake2b(parameter.encode(), digest_size=_PREFIX_BYTES).hexdigest()


def ordered_time(milliseconds: int) -> str:
    """Return a text that sorts as the time does, from year 1 to the open end of a period."""
    return f"{milliseconds + _TIME_OFFSET:013x}"


def ordered_number(value: Decimal | float) -> str:
    """Return a text that sorts as the number does, to the precision of a double."""
    bits = int(struct.unpack(">Q", struct.pack(">d", float(value)))[0])
    bits = bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | (1 << 63)
    return f"{bits:016x}"


def fold(text: str) -> str:
    """Return text as string searches compare it: without case, accents and runs of space.

    https://hl7.org/fhir/R4/search.html#string
    """
    if text.isascii():
        return " ".join(text.lower().split())[:MAX_STRING]
    # Twice: letters may come out of their mathematical or full-width forms in capitals, and fold into composed ones.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(plain.split())[:MAX_STRING]
