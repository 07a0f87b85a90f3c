"""Where a terminology service finds a tenant's own value sets and code systems. See fhir_server.api.Library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.api.criteria import Order, Term
from fhir_server.api.ports import Reading
from fhir_server.search.parameters import Parameters
from fhir_server.search.terms import SEPARATOR, TermHash

MAX_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class TenantLibrary:
    """Finds by canonical URL, with the rights of the records it is given. One command for each question."""

    records: Reading
    term: TermHash
    parameters: Parameters

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        """Return every version of the resource, newest first; beyond 100 the oldest are not looked at."""
        name = self.parameters.of(resource_type)["url"].index_name
        where = Term((self.term(f"{name}{SEPARATOR}{url}"),))
        page = await self.records.search(where, Order("updated"), MAX_VERSIONS)
        return [record.raw for record in page.records]
