"""Invariants of elements that look at the whole resource. FHIRPath would walk it once for each of the elements.

Each answers with the places of the elements that break it; None is the place of an element that does not repeat. What
is malformed is somebody else's finding. https://hl7.org/fhir/R4/structuredefinition.html#invs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.fhir.fhirpath.references import target_type
from fhir_server.validation.findings import Json

Places = list[int | None]


def ctm_1(resource: Json) -> Places:
    """Only a practitioner takes part on behalf of an organization, as far as references tell."""
    found: Places = []
    contained = _contained(resource)
    for place, participant in enumerate(_list(resource, "participant")):
        if type(participant) is not dict or "onBehalfOf" not in participant:
            continue
        member: Any = participant.get("member")
        text = member.get("reference") if type(member) is dict else None
        held = contained.get(text) if type(text) is str else None
        if target_type(member, {"contained": [held]} if held else {}) not in (None, "Practitioner"):
            found.append(place)
    return found


def sdf_8(resource: Json) -> Places:
    """A snapshot starts with the type itself, and all other paths are below the first."""
    paths, kind = _paths(resource, "snapshot"), resource.get("type")
    if not paths or ((paths[0] == kind or resource.get("kind") == "logical") and _are_below(paths, paths[0])):
        return []
    return [None]


def sdf_8a(resource: Json) -> Places:
    """A differential starts in the type, and all other paths are below the root of the first."""
    paths, kind = _paths(resource, "differential"), str(resource.get("type"))
    if not paths:
        return []
    is_named = resource.get("kind") == "logical" or paths[0].startswith(kind)
    return [] if is_named and _are_below(paths, paths[0].partition(".")[0]) else [None]


BY_KEY: dict[str, Callable[[Json], Places]] = {"ctm-1": ctm_1, "sdf-8": sdf_8, "sdf-8a": sdf_8a}


def _are_below(paths: list[str], root: str) -> bool:
    return all(path.startswith(root + ".") for path in paths[1:])


def _paths(resource: Json, name: str) -> list[str]:
    """Return the paths of all elements, or nothing where one has none."""
    view: Any = resource.get(name)
    rows = _list(view, "element") if type(view) is dict else []
    paths: list[Any] = [row.get("path") if type(row) is dict else None for row in rows]
    return paths if all(type(path) is str for path in paths) else []


def _contained(resource: Json) -> dict[str, Json]:
    rows = [row for row in _list(resource, "contained") if type(row) is dict]
    return {f"#{row.get('id')}": row for row in reversed(rows)} | {"#": resource}


def _list(holder: Json, name: str) -> list[Any]:
    value = holder.get(name)
    return value if type(value) is list else []
