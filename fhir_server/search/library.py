"""Where terminology and validation find a tenant's definitions: its resources, then its packages. See api.Library."""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fhir_server.api.concepts import Concepts
from fhir_server.api.criteria import Order, Term
from fhir_server.api.packages import Packages
from fhir_server.api.ports import Reading
from fhir_server.api.tenant import Tenant
from fhir_server.search.parameters import Parameters
from fhir_server.search.shelves import Shelf
from fhir_server.search.terms import SEPARATOR, TermHash

MAX_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class TenantLibrary:
    """Finds by canonical URL, with the rights of the records it is given; packages are for everybody in the tenant."""

    tenant: Tenant
    records: Reading
    packages: Packages
    term: TermHash
    parameters: Parameters
    concepts: Concepts | None = None
    shelf: Callable[[], Awaitable[Shelf]] | None = None  # none in a transaction, which sees what it wrote itself

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        """Return every version: the tenant's resources, newest first, up to 100, then packages, the latest first."""
        shelf = None if self.shelf is None else await self.shelf()
        found = None if shelf is None else shelf.get(resource_type, url)
        if found is None:
            found = await self._looked_up(resource_type, url)
            if shelf is not None:
                shelf.put(resource_type, url, found)
        return found

    async def _looked_up(self, resource_type: str, url: str) -> list[bytes]:
        own, packed = await gather(self._own(resource_type, url), self.packages.find(self.tenant, resource_type, url))
        return [*own, *packed]

    async def _own(self, resource_type: str, url: str) -> list[bytes]:
        name = self.parameters.of(resource_type)["url"].index_name
        where = Term((self.term(f"{name}{SEPARATOR}{url}"),))
        page = await self.records.search(where, Order("updated"), MAX_VERSIONS)
        return [record.raw for record in page.records]
