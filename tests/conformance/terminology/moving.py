"""Code systems as the stored ones of a tenant, read from the resources of a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fhir_server.api import Concepts, Json, StoredConcept
from terminology.codesystem import CodeSystem


async def move(concepts: Concepts, resource: Json) -> None:
    """Load a CodeSystem resource."""
    system = CodeSystem(resource)
    begun = await concepts.begin(system.head, by="test", now=1)
    await concepts.add(begun.key, 0, list(_concepts(system)))
    await concepts.finish(begun.key, now=2)


def can_be_moved(resource: Json) -> bool:
    """Whether the resource is a code system with concepts of its own."""
    is_system = resource["resourceType"] == "CodeSystem" and resource.get("content") != "supplement"
    return is_system and bool(resource.get("concept"))


def _concepts(system: CodeSystem) -> Iterator[StoredConcept]:
    hierarchy = {*system.property_names("parent"), *system.property_names("child"), "subsumedBy"}
    for node in system.nodes.values():
        yield StoredConcept(
            node.code,
            node.display,
            node.definition,
            node.designations,
            tuple(row for row in node.properties if row.get("code") not in hierarchy),
            node.extensions,
            node.parents,
            system.is_inactive(node),
            system.is_abstract(node),
        )


def rest(resources: Iterable[Json]) -> list[Json]:
    """Return the resources that stay resources."""
    return [r for r in resources if not can_be_moved(r)]
