"""The editions of searching: the parameters in force for a tenant, with the indexer and planner compiled from them.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.api.tenant import Tenant
from fhir_server.fhir.definitions import Definitions
from fhir_server.search.indexing import Indexer
from fhir_server.search.parameters import Parameters
from fhir_server.search.planning import Planner
from fhir_server.search.query import QueryParser


@dataclass(frozen=True, slots=True)
class Edition:
    """One set of parameters and what indexes and plans by it; it never changes, a new set is a new edition."""

    parameters: Parameters
    indexer: Indexer
    planner: Planner


class Editions:
    """Which edition each tenant is on: the specification's own for all that have no parameters of their own."""

    def __init__(self, definitions: Definitions, base_url: str = "") -> None:
        self._definitions = definitions
        self._base_url = base_url
        self._core = self._edition(Parameters(definitions))
        self._own: dict[str, Edition] = {}

    def of(self, tenant: Tenant) -> Edition:
        """Return the tenant's edition as this process knows it now; asked for several times in every request."""
        return self._own.get(tenant.name, self._core)

    def _edition(self, parameters: Parameters) -> Edition:
        indexer = Indexer(self._definitions, parameters, self._base_url)
        return Edition(
            parameters, indexer, Planner(indexer, QueryParser(parameters, self._definitions.resource_types), parameters)
        )
