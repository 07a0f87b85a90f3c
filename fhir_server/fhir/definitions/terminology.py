"""The code systems, value sets and concept maps of FHIR R4 itself. https://hl7.org/fhir/R4/terminologies-systems.html

The table is unpacked when somebody first asks, 4 MB, and a resource of it is decoded by whoever wants it; a server that
is never asked about codes pays nothing. Names of concepts under a licence (SNOMED CT, LOINC, CPT) are not in it.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files

import msgspec


def core_terminology(resource_type: str, url: str) -> bytes | None:
    """Return the CodeSystem, ValueSet or ConceptMap of the core specification with that canonical URL, or None."""
    found = _resources().get(f"{resource_type}|{url}")
    return None if found is None else bytes(found)


def core_urls(resource_type: str) -> tuple[str, ...]:
    """Return the canonical URLs of every CodeSystem, ValueSet or ConceptMap of the core specification, sorted."""
    prefix = f"{resource_type}|"
    return tuple(name.removeprefix(prefix) for name in _resources() if name.startswith(prefix))


@lru_cache(maxsize=1)
def _resources() -> dict[str, msgspec.Raw]:
    packed = (files(__package__) / "terminology.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, msgspec.Raw])
