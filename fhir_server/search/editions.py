"""The editions of searching: the parameters in force for a tenant, with the indexer and planner compiled from them.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.api.tenant import Tenant
from fhir_server.fhir.definitions import Definitions
from fhir_server.search.accepting import Acceptance
from fhir_server.search.custom import Custom
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
    customs: tuple[Custom, ...] = ()
    generation: int = 0


class Editions:
    """Which edition each tenant is on: the specification's own for all that have no parameters of their own."""

    def __init__(self, definitions: Definitions, base_url: str = "") -> None:
        self._definitions = definitions
        self._base_url = base_url
        self._core = self._edition(Parameters(definitions))
        self._own: dict[str, Edition] = {}
        self._served: dict[str, str] = {}
        self.acceptance = Acceptance(definitions, self._core.parameters)

    def of(self, tenant: Tenant) -> Edition:
        """Return the tenant's edition as this process knows it now; asked for several times in every request."""
        return self._own.get(tenant.name, self._core)

    def serve(self, tenant: Tenant, base_url: str) -> None:
        """Remember under which URL a tenant is served, for what is indexed when nobody is being served."""
        self._served[tenant.name] = base_url

    def base_url(self, tenant: Tenant) -> str:
        """Return the URL under which the tenant was served last, or ''."""
        return self._base_url or self._served.get(tenant.name, "")

    def adopt(self, tenant: Tenant, generation: int, customs: Sequence[Custom]) -> None:
        """Put the tenant on the edition of a set, unless it is on a later one."""
        if generation > self.of(tenant).generation:
            parameters = Parameters(self._definitions, self._core.parameters, customs)
            self._own[tenant.name] = self._edition(parameters, tuple(customs), generation)

    def _edition(self, parameters: Parameters, customs: tuple[Custom, ...] = (), generation: int = 0) -> Edition:
        indexer = Indexer(self._definitions, parameters, self._base_url)
        planner = Planner(indexer, QueryParser(parameters, self._definitions.resource_types), parameters)
        return Edition(parameters, indexer, planner, customs, generation)
