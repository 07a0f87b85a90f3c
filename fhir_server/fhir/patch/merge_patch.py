"""JSON Merge Patch: the members to change, null for those to remove. https://www.rfc-editor.org/rfc/rfc7386

FHIR R4 does not name it; it is offered for its simplicity. An array is replaced whole: to change one element of a list,
a JSON Patch or FHIRPath Patch is the way.
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.outcomes import Issue, Json
from fhir_server.fhir.patch.errors import PatchError, Refused
from fhir_server.fhir.patch.trees import copy_of, one_below


def apply_merge_patch(resource: Json, patch: Json) -> Json:
    """Return the resource with the patch merged into it. Raises PatchError if the patch is not an object."""
    if not isinstance(patch, dict):
        raise PatchError(Issue("structure", 'a merge patch of a resource is an object, as in {"active": true}'))
    try:
        return _merged(copy_of(resource), patch, MAX_DEPTH)
    except Refused as refused:
        raise PatchError(Issue(refused.code, refused.diagnostics)) from None


def _merged(target: Any, patch: Json, levels: int) -> Json:
    below = one_below(levels)
    result: Json = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _merged(result.get(name), value, below)
        else:
            result[name] = copy_of(value, below)
    return result
