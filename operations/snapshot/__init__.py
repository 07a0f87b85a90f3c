"""$snapshot: a profile with all its elements. https://hl7.org/fhir/R4/structuredefinition-operation-snapshot.html"""

from __future__ import annotations

import asyncio
from importlib.resources import files

from fhir_server.api import (
    Deleted,
    InvalidRequest,
    Issue,
    Json,
    Library,
    NotFound,
    Operation,
    OperationContext,
    Unprocessable,
    decode_stored,
)
from fhir_server.api.profiles import SnapshotError, core_structure, snapshot

MAX_STRUCTURES = 100


async def of_one(context: OperationContext) -> Json:
    """Return the stored profile with a snapshot, whatever the parameters say."""
    found = await context.records.read(context.key)
    if found is None:
        raise NotFound(f"There is no {context.key}.")
    if found.deleted:
        raise Deleted(f"{context.key} was deleted.", version=found.version)
    return await _with_snapshot(decode_stored(found.raw), context.server.library)


async def of_given(context: OperationContext) -> Json:
    """Return the profile that is given or named with a snapshot. Raises NotFound for one that nobody knows."""
    definition, url = context.parameters.one("definition"), context.parameters.one("url")
    if (definition is None) == (url is None):
        raise InvalidRequest("Send either a definition or a url.", location="http.url")
    library = context.server.library
    if definition is None:
        definition = await _find(str(url), library)
        if definition is None:
            raise NotFound(f"{url} is not known; install the package that has it, or send it as definition.")
    return await _with_snapshot(definition, library)


class Missing(Exception):
    """A structure must be fetched before the snapshot can be made."""

    def __init__(self, canonical: str) -> None:
        super().__init__(canonical)
        self.canonical = canonical


async def _with_snapshot(structure: Json, library: Library) -> Json:
    """Make the snapshot, and again each time a base was found to be missing."""
    known: dict[str, Json | None] = {}

    def resolve(canonical: str) -> Json | None:
        if canonical not in known:
            raise Missing(canonical)
        return known[canonical]

    while len(known) <= MAX_STRUCTURES:
        try:
            elements = await asyncio.to_thread(snapshot, structure, resolve)
        except Missing as missing:
            known[missing.canonical] = await _find(missing.canonical, library)
        except SnapshotError as error:
            raise Unprocessable(issues=[_issue(structure, error)]) from None
        else:
            return structure | {"snapshot": {"element": [_defined(element) for element in elements]}}
    raise Unprocessable(f"The snapshot needs more than {MAX_STRUCTURES} other structures.")


async def _find(canonical: str, library: Library) -> Json | None:
    """Return the structure of FHIR itself, or the newest of the tenant's, or the one of a version."""
    if found := core_structure(canonical):
        return found
    url, _, version = canonical.partition("|")
    structures = (decode_stored(raw) for raw in await library.find("StructureDefinition", url))
    return next((s for s in structures if not version or s.get("version") == version), None)


def _defined(element: Json) -> Json:
    """Return an element with the texts that FHIR wants of each (sdf-3, eld-18), for the server ships none of them."""
    path = element.get("base", element)["path"]
    texts = {"definition": f"What FHIR defines as {path}."}
    if element.get("isModifier"):
        texts["isModifierReason"] = f"FHIR defines {path} as a modifier."
    return texts | element


def _issue(structure: Json, error: SnapshotError) -> Issue:
    """Return what is wrong, at the element of the differential where it is one of this structure's."""
    if error.structure not in ("", structure.get("url", "")):
        return Issue(
            error.code, f"The profile {error.structure}, on which this one stands: {error}", "StructureDefinition"
        )
    elements = structure.get("differential", {}).get("element", []) if error.element else []
    place = next((i for i, e in enumerate(elements) if error.element in (e.get("id"), e.get("path"))), None)
    where = "StructureDefinition" if place is None else f"StructureDefinition.differential.element[{place}]"
    return Issue(error.code, str(error), where)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=of_given, instance=of_one)
