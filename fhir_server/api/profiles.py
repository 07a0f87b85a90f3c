"""Profiles as plugins may read them: the structures of FHIR itself, and snapshots made from differentials.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from fhir_server.fhir.definitions.profiles import core_structure, core_structure_urls
from fhir_server.fhir.snapshots import SnapshotError, snapshot

__all__ = ["SnapshotError", "core_structure", "core_structure_urls", "snapshot"]
