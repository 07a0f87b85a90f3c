"""Parts of a resource that a client asks for: _summary and _elements. https://hl7.org/fhir/R4/search.html#summary"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fhir_server.fhir.definitions import Definitions, TypeDefinition

Json = dict[str, Any]

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
SUMMARIES = ("true", "text", "data", "count", "false")
ALWAYS = ("resourceType", "id", "meta")


def subset(definitions: Definitions, resource: Json, summary: str, elements: Iterable[str]) -> Json:
    """Return the part of a resource that `_summary` or `_elements` names, tagged SUBSETTED.

    Mandatory elements and modifiers always stay, so that the part is still a valid resource and is not misread.
    `elements` are names of the top level (`code`) or of a type (`Observation.code`).
    """
    definition = definitions.types[resource["resourceType"]]
    keep = _keep(definitions, definition, resource["resourceType"], summary, set(elements))
    part = {name: value for name, value in resource.items() if name in ALWAYS or keep(name.removeprefix("_"))}
    if summary == "true":
        part = {n: _summary_of(definitions, definition, n, v) for n, v in part.items()}
    return _tagged(part)


def _keep(
    definitions: Definitions, definition: TypeDefinition, type_name: str, summary: str, elements: set[str]
) -> Callable[[str], bool]:
    owners = {json: e for e in definition.elements for json in e.json_names()}
    if elements:
        names = {e.removeprefix(type_name + ".").partition(".")[0] for e in elements}
        return lambda n: (
            n not in owners or owners[n].min > 0 or owners[n].modifier or owners[n].name in names or n in names
        )
    if summary == "text":
        return lambda n: n == "text" or (n in owners and owners[n].min > 0)
    if summary == "data":
        return lambda n: n != "text"
    return lambda n: n in owners and (owners[n].summary or owners[n].modifier)


def _summary_of(definitions: Definitions, owner: TypeDefinition, name: str, value: Any) -> Any:
    """Leave only summary elements inside backbone elements, which have flags of their own."""
    element = owner.element(name)
    if element is None or not element.types:
        return value
    nested = definitions.types.get(element.types[0].code)
    if nested is None or nested.kind != "backbone":
        return value
    names = {json for e in nested.elements for json in e.json_names() if e.summary or e.min > 0 or e.modifier}

    def part(row: Json) -> Json:
        kept = {n: v for n, v in row.items() if n.removeprefix("_") in names}
        return {n: _summary_of(definitions, nested, n, v) for n, v in kept.items()}

    return [part(row) for row in value] if isinstance(value, list) else part(value)


def _tagged(resource: Json) -> Json:
    meta = dict(resource.get("meta", {}))
    tags = [t for t in meta.get("tag", []) if t.get("code") != "SUBSETTED"]
    meta["tag"] = [*tags, SUBSETTED]
    tagged = {"resourceType": resource["resourceType"]}
    if "id" in resource:
        tagged["id"] = resource["id"]
    return {**tagged, "meta": meta, **{n: v for n, v in resource.items() if n not in ALWAYS}}
