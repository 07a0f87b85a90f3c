"""The StructureDefinitions of FHIR R4 itself: types, profiles and extensions. https://hl7.org/fhir/R4/profilelist.html

The table is unpacked when somebody first asks for a profile, 5 MB; a server that checks none pays nothing. There is no
prose in it. A type comes with its snapshot, a profile or an extension with its differential, from which
`fhir_server.fhir.snapshots` makes the snapshot.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from fhir_server.fhir.definitions import FHIR_VERSION
from fhir_server.fhir.json import decode_stored

Json = dict[str, Any]


@lru_cache(maxsize=128)
def core_structure(url: str) -> Json | None:
    """Return the StructureDefinition of the core specification with that canonical URL, or None.

    `url` may carry `|4.0.1`; no other version is here. What is returned is shared: nobody changes it.
    """
    name, _, version = url.partition("|")
    found = _structures().get(name) if version in ("", FHIR_VERSION) else None
    structure: Json | None = None if found is None else decode_stored(bytes(found))
    return structure


def core_structure_urls() -> tuple[str, ...]:
    """Return the canonical URLs of every type, profile and extension of the core specification, sorted."""
    return tuple(_structures())


@lru_cache(maxsize=1)
def _structures() -> dict[str, msgspec.Raw]:
    packed = (files(__package__) / "profiles.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, msgspec.Raw])
