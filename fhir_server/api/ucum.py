"""Units of UCUM as plugins may ask about them: is it one, what does it measure, how is it said. https://ucum.org/ucum"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.ucum import (
    SYSTEM,
    UcumError,
    Unit,
    atoms,
    canonical_code,
    complaint,
    is_unit,
    near_units,
    read,
    spelled_out,
    version,
)

__all__ = [
    "SYSTEM",
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
]
