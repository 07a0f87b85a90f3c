"""How large a concept and a release may be: what is stored lies in documents of 16 MB, with their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from fhir_server.api import StoredConcept
from terminology.loaders.findings import Findings, broken
from terminology.loaders.release import Found

MAX_CONCEPTS = 5_000_000
MAX_CONCEPT = 768 * 1024
MAX_CODE = 500
MAX_EXPONENT = 100  # of ten, in a decimal: more digits than anybody means

_encoder = msgspec.json.Encoder()


class Sized(NamedTuple):
    """A concept and how many bytes of JSON it is."""

    concept: StoredConcept
    size: int


def within_limits(concepts: Iterator[Found], findings: Findings) -> Iterator[Sized]:
    """Yield the concepts that can be stored; note the others. Raises Unprocessable past 5,000,000 concepts."""
    for number, found in enumerate(concepts):
        if number >= MAX_CONCEPTS:
            raise broken(found.file, found.line, f"these are more than {MAX_CONCEPTS} concepts.")
        size = len(_encoder.encode(found.concept))
        text = _wrong(found.concept, size)
        if text:
            findings.bad(found.file, found.line, text)
        else:
            yield Sized(found.concept, size)


def _wrong(concept: StoredConcept, size: int) -> str:
    name = repr(concept.code[:60])
    if len(concept.code) > MAX_CODE:
        return f"the code {name}... has more than {MAX_CODE} characters."
    if size > MAX_CONCEPT:
        return f"the concept {name} has more than {MAX_CONCEPT // 1024} KB."
    for row in concept.properties:
        for value in row.values():
            if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < MAX_EXPONENT):
                return f"a decimal of {name} is too large or too small."
    return ""
