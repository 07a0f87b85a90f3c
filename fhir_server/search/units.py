"""The unit a quantity is indexed in: base units where UCUM knows the code, else the system and code themselves.

So that `5.4 mg` is found by `0.0054 g`. The index holds doubles and what it finds is tested, so doubles are what it is
calculated in. https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from fhir_server.fhir.fhirpath.units import unit
from fhir_server.search.terms import SEPARATOR

UCUM = "http://unitsofmeasure.org"


def in_index(value: Decimal | int, system: str, code: str) -> tuple[str, float]:
    """Return the name of the unit in the index, and the value in that unit to the precision of a double."""
    if system == UCUM:
        found = _base(code)
        if found is not None:
            name, factor, offset = found
            return name, float(value) * factor + offset
    return f"{system}{SEPARATOR}{code}", float(value)


@lru_cache(maxsize=4096)
def _base(code: str) -> tuple[str, float, float] | None:
    """Return the name of a UCUM code's base units, and what a value in the unit is multiplied by and shifted by."""
    known = unit(code)
    if known is None:
        return None
    name = ".".join(f"{base}{power}" for base, power in known.dimensions)
    return f"{UCUM}{SEPARATOR}{SEPARATOR}{name}", float(known.factor), float(known.offset)
