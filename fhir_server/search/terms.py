"""Index terms: what a search value hashes to, and the ordered strings that ranges are asked of.

A term is the 64-bit keyed BLAKE2b hash of `Type.parameter` and a value in one of its forms. The key is the tenant's, so
the index is small and holds nothing readable. https://www.rfc-editor.org/rfc/rfc7693
"""

from __future__ import annotations

import math
import struct
import unicodedata
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b

# Separates the parts of a term's text; it cannot occur in FHIR text (https://hl7.org/fhir/R4/datatypes.html#string).
SEPARATOR = "\x1f"
ANY_SYSTEM = "\x1e"
EXACT = "\x1d"
# Sorts after every character that a folded text can hold.
LAST = "\U0010ffff"
# Ends an indexed text that goes on in the resource.
CUT = "\U0010fffe"

MAX_CACHED = 200_000
MAX_STRING = 1000
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


def ordered_number(value: Decimal | Fraction | float) -> str:
    """Return a text that sorts as the number does, to the precision of a double."""
    try:
        double = float(value) + 0.0  # no negative zero
    except OverflowError:  # a Fraction that no double can hold
        double = math.inf if value > 0 else -math.inf
    bits = int(struct.unpack(">Q", struct.pack(">d", double))[0])
    bits = bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | (1 << 63)
    return f"{bits:016x}"


def fold(text: str) -> str:
    """Return text as string searches compare it: without case, accents and runs of space.

    https://hl7.org/fhir/R4/search.html#string
    """
    if text.isascii():
        return " ".join(text.lower().split())
    # Twice: letters may come out of their mathematical or full-width forms in capitals, and fold into composed ones.
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(plain.split())


def indexed_text(text: str) -> str:
    """Return a folded text as the index holds it: a very long one only in its beginning, and marked."""
    return text if len(text) <= MAX_STRING else text[:MAX_STRING] + CUT
