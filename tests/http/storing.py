"""A code system put into the concept store of a server that runs, as the loaders of releases do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.api import StoredConcept
from fhir_server.http.fhir import DEFAULT_TENANT
from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


async def store(client: FhirClient, resource: Json) -> None:
    """Load a CodeSystem resource as a stored code system."""
    services = client.app.services
    assert services is not None
    tenant = await services.store.tenant(DEFAULT_TENANT)
    assert tenant is not None
    concepts = services.concepts.of(tenant)
    head = {k: v for k, v in resource.items() if k != "concept"}
    system = await concepts.begin(head, by="a test", now=services.clock.now())
    await concepts.add(system.key, 0, list(_concepts(resource["concept"], ())))
    await concepts.finish(system.key, now=services.clock.now())


def _concepts(rows: list[Json], parents: tuple[str, ...]) -> Iterator[StoredConcept]:
    for row in rows:
        properties = tuple(row.get("property", ()))
        flags = {p["code"]: next(v for k, v in p.items() if k.startswith("value")) for p in properties}
        yield StoredConcept(
            row["code"],
            row.get("display", ""),
            properties=properties,
            parents=parents,
            inactive=flags.get("status") == "retired",
            abstract=flags.get("notSelectable") is True,
        )
        yield from _concepts(row.get("concept", []), (row["code"],))
