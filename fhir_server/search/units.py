"""The unit a quantity is indexed in: base units where UCUM knows the code, else the system and code themselves.

So that `5.4 mg` is found by `0.0054 g`. https://hl7.org/fhir/R4/search.html#quantity
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from fhir_server.fhir.fhirpath.units import canonical
from fhir_server.search.terms import SEPARATOR

UCUM = "http://unitsofmeasure.org"
# Numbers outside of what a double can hold are not worth the digits their fractions would have.
_MOST_DIGITS = 400


def unit_name(value: Decimal, system: str, code: str) -> tuple[str, Decimal | Fraction]:
    """Return the name of the unit in the index and the value in that unit, exactly."""
    if system == UCUM and -_MOST_DIGITS < value.adjusted() < _MOST_DIGITS:
        found = canonical(value, code)
        if found is not None:
            inside, dimensions = found
            name = ".".join(f"{base}{power}" for base, power in dimensions)
            return f"{UCUM}{SEPARATOR}{SEPARATOR}{name}", inside
    return f"{system}{SEPARATOR}{code}", value
