"""The three forms of a patch, each making a new resource of an old one. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from fhir_server.fhir.patch.errors import PatchError, PatchTestFailed
from fhir_server.fhir.patch.fhirpath_patch import apply_fhirpath_patch
from fhir_server.fhir.patch.json_patch import apply_json_patch
from fhir_server.fhir.patch.merge_patch import apply_merge_patch

__all__ = ["PatchError", "PatchTestFailed", "apply_fhirpath_patch", "apply_json_patch", "apply_merge_patch"]
