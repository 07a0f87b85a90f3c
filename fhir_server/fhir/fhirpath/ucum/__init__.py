"""The Unified Code for Units of Measure: is a code a unit, what does it measure, how is it said. https://ucum.org/ucum

`read` and `complaint` remember what they were asked, and take any string: length, depth, powers and sizes are bounded.
"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.ucum.errors import UcumError
from fhir_server.fhir.fhirpath.ucum.naming import complaint, near_units, spelled_out
from fhir_server.fhir.fhirpath.ucum.table import table
from fhir_server.fhir.fhirpath.ucum.units import Dimensions, Unit, read, written

__all__ = [
    "SYSTEM",
    "Dimensions",
    "UcumError",
    "Unit",
    "atoms",
    "canonical_code",
    "complaint",
    "is_unit",
    "near_units",
    "read",
    "spelled_out",
    "version",
    "written",
]

SYSTEM = "http://unitsofmeasure.org"


def version() -> str:
    """Return the version of UCUM that the table has."""
    return table().version


def atoms() -> list[str]:
    """Return every unit without prefixes and operators."""
    return table().atoms()


def is_unit(code: str) -> bool:
    """Whether a code is a unit of UCUM, annotations and all."""
    try:
        read(code)
    except UcumError:
        return False
    return True


def canonical_code(code: str) -> str:
    """Return the base units of a code: `mL` is `m3`. Raises UcumError. Commensurable units have the same."""
    return written(read(code).dimensions)
