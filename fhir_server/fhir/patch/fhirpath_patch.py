"""FHIRPath Patch: a Parameters resource of operations at FHIRPaths. https://hl7.org/fhir/R4/fhirpatch.html"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.fhirpath import FhirPathError, locate
from fhir_server.fhir.outcomes import Issue, Json
from fhir_server.fhir.patch import operations
from fhir_server.fhir.patch.elements import Location
from fhir_server.fhir.patch.errors import PatchError, Refused
from fhir_server.fhir.patch.trees import copy_of

_PARTS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
_MEANINGS = {
    "type": "add, insert, delete, replace or move",
    "path": "a FHIRPath, as in Patient.name[0].given",
    "name": "the name of the element to add",
    "index": "a whole number, 0 for the front of the list",
    "source": "a whole number, 0 for the first of the list",
    "destination": "a whole number, 0 for the front of the list",
}


def apply_fhirpath_patch(resource: Json, parameters: Json) -> Json:
    """Return the resource as the operations leave it, each seeing what those before it did: all of them or none.

    Whether the outcome is a valid resource is for validation to find. Raises PatchError.
    """
    listed = _listed(parameters)
    patched: Json = copy_of(resource)
    for number, parameter in enumerate(listed):
        try:
            _apply(patched, parameter)
        except Refused as refused:
            issue = Issue(refused.code, refused.diagnostics, f"Parameters.parameter[{number}]")
            raise PatchError(issue) from None
    return patched


def _listed(parameters: Any) -> list[Any]:
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise PatchError(Issue("structure", "a FHIRPath Patch is a Parameters resource"))
    listed = parameters.get("parameter", [])
    if not isinstance(listed, list):
        raise PatchError(Issue("structure", "parameter is a list of operations", "Parameters.parameter"))
    return listed


def _apply(resource: Json, parameter: Any) -> None:
    parts = _parts(parameter)
    kind = _text(parts, "type")
    if kind not in _PARTS:
        raise Refused("value", f"unknown type of operation: use one of {', '.join(_PARTS)}")
    for name in _PARTS[kind]:
        if name not in parts:
            raise Refused("required", f"{kind} needs the parts {', '.join(_PARTS[kind])}: there is no {name}")
    if len(parts) > len(_PARTS[kind]) + 1:
        raise Refused("value", f"{kind} takes the parts type, {', '.join(_PARTS[kind])} and no other")
    locations = _locations(resource, _text(parts, "path"))
    if kind == "add":
        operations.add(resource, locations, _text(parts, "name"), parts["value"])
    elif kind == "insert":
        operations.insert(resource, locations, _number(parts, "index"), parts["value"])
    elif kind == "delete":
        operations.delete(resource, locations)
    elif kind == "replace":
        operations.replace(resource, locations, parts["value"])
    else:
        operations.move(resource, locations, _number(parts, "source"), _number(parts, "destination"))


def _parts(parameter: Any) -> dict[str, Json]:
    """Return the parts of an operation by name."""
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise Refused("value", "every parameter of a patch is an operation: name it operation")
    parts = parameter.get("part")
    if not isinstance(parts, list):
        raise Refused("structure", "an operation has a list of parts: type, path and what the type needs")
    by_name: dict[str, Json] = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in by_name:
            raise Refused("value", "every part of an operation has a name, and no two have the same")
        by_name[name] = part
    return by_name


def _text(parts: dict[str, Json], name: str) -> str:
    text: str = _scalar(parts, name, str)
    return text


def _number(parts: dict[str, Json], name: str) -> int:
    number: int = _scalar(parts, name, int)
    return number


def _scalar(parts: dict[str, Json], name: str, wanted: type) -> Any:
    """Return the one primitive value of the part, whatever its data type is called."""
    if name not in parts:
        raise Refused("required", f"the operation has no part {name}: {_MEANINGS[name]}")
    values = [value for member, value in parts[name].items() if member.startswith("value")]
    if len(values) != 1 or type(values[0]) is not wanted:
        raise Refused("value", f"the part {name} has one value: {_MEANINGS[name]}")
    return values[0]


def _locations(resource: Json, path: str) -> list[Location]:
    try:
        return locate(path, resource)
    except FhirPathError as error:
        raise Refused("value", f"the path cannot be followed: {error}") from None
