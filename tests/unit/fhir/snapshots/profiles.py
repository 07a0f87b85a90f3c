"""Small profiles for the tests of snapshots."""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.snapshots import snapshot

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
MINE = "http://example.org/StructureDefinition/"


def profile(type_name: str, *elements: Json, name: str = "mine", base: str = "") -> Json:
    """Return a profile with those elements as its differential."""
    return {
        "resourceType": "StructureDefinition",
        "url": MINE + name,
        "name": name,
        "kind": "resource",
        "type": type_name,
        "derivation": "constraint",
        "baseDefinition": base or CORE + type_name,
        "differential": {"element": list(elements)},
    }


def at(path: str, slice_name: str = "", **facts: Any) -> Json:
    """Return an element of a differential as older tools write it, without an id."""
    element = {"path": path, **facts}
    return element | {"sliceName": slice_name} if slice_name else element


def by_url(discriminator: str = "value", path: str = "url", rules: str = "open") -> Json:
    """Return a slicing."""
    return {"discriminator": [{"type": discriminator, "path": path}], "rules": rules}


def snap(structure: Json, *known: Json) -> dict[str, Json]:
    """Return the elements of a snapshot by their ids, other profiles being known."""
    elements = snapshot(structure, {other["url"]: other for other in known}.get)
    found = {element["id"]: element for element in elements}
    assert len(found) == len(elements), "two elements have one id"
    return found


def codes(element: Json) -> list[str]:
    """Return the types of an element."""
    return [row["code"] for row in element["type"]]
