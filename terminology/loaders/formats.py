"""The formats of releases that can be loaded, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhir_server.api import InvalidRequest
from terminology.loaders import code_system, icd10cm, loinc, plain_csv, rxnorm, snomed
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.release import Asked, Release

Reader = Callable[[Files, Asked, Findings], Release]

FORMATS: Mapping[str, Reader] = {
    "code-system": code_system.read,
    "csv": plain_csv.read,
    "icd-10-cm": icd10cm.read,
    "loinc": loinc.read,
    "rxnorm": rxnorm.read,
    "snomed-ct": snomed.read,
}


def reader(name: str) -> Reader:
    """Return the reader of a format. Raises InvalidRequest."""
    found = FORMATS.get(name)
    if found is None:
        raise InvalidRequest(f"format must be one of {', '.join(sorted(FORMATS))}.", location="http.format")
    return found
