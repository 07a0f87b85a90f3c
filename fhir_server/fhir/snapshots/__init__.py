"""Snapshots of profiles, made from their differentials. https://hl7.org/fhir/R4/profiling.html#snapshot"""

from __future__ import annotations

from itertools import islice

from fhir_server.fhir.snapshots.differential import MAX_ELEMENTS, Differential
from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.shapes import check_shape
from fhir_server.fhir.snapshots.sources import Json, Resolve, Sources
from fhir_server.fhir.snapshots.tree import Node, elements_of, tree_of

__all__ = ["SnapshotError", "snapshot"]


def snapshot(structure: Json, resolve: Resolve) -> list[Json]:
    """Return the ElementDefinitions of a profile in order, each with its id, path and all that holds for it.

    A snapshot that a profile brings is not looked at; those of its bases are, and that of a type. `resolve` gives the
    structure with a canonical URL (maybe with `|version`), or None; what it raises passes through. It is not asked for
    what FHIR itself defines. The elements share parts with those of the base: nobody changes them. Raises SnapshotError
    for a profile that contradicts its base or itself, or stands on what is not known.
    """
    root = _grow(structure, Sources(resolve, _grow, (str(structure.get("url", "")),)))
    elements = list(islice(elements_of(root), MAX_ELEMENTS + 1))
    if len(elements) > MAX_ELEMENTS:
        raise SnapshotError(f"the snapshot has more than {MAX_ELEMENTS} elements", code="too-costly")
    return elements


def _grow(structure: Json, sources: Sources) -> Node:
    """Return the tree of a profile. Raises SnapshotError, which names the structure that is wrong."""
    try:
        check_shape(structure)
        return _changed(structure, sources)
    except SnapshotError as error:
        error.structure = error.structure or str(structure.get("url", ""))
        raise


def _changed(structure: Json, sources: Sources) -> Node:
    if structure.get("derivation") != "constraint":
        if published := structure.get("snapshot", {}).get("element"):
            return tree_of(published, str(structure.get("url", "")))
        raise SnapshotError(
            "only of a profile (derivation constraint) is a snapshot made; publish a new type with its snapshot",
            code="not-supported",
        )
    base = structure.get("baseDefinition")
    if not base:
        raise SnapshotError("the profile has no baseDefinition; name what it constrains", code="required")
    root = sources.tree(base).copy()
    if (type_name := str(structure.get("type", root.name)).rpartition("/")[2]) != root.name:
        raise SnapshotError(f"constrains {type_name}, but its base {base} is about {root.name}", code="business-rule")
    elements = structure.get("differential", {}).get("element", [])
    Differential(root, sources, str(structure.get("url", ""))).apply(elements)
    return root
