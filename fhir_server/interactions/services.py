"""What the interactions work with: the parts of the server, composed once, and the call they are serving."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from fhir_server.api.concepts import Concepts, ConceptStore
from fhir_server.api.criteria import Everything
from fhir_server.api.editions import Reindexing
from fhir_server.api.packages import Packages
from fhir_server.api.ports import Clock, IdSource, Jobs, Reading, Store, Writing
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.api.terminology import Terminology
from fhir_server.fhir.definitions import Definitions
from fhir_server.interactions.following import Following
from fhir_server.interactions.gate import Gate
from fhir_server.interactions.request import Request
from fhir_server.interactions.settling import Settler
from fhir_server.kernel.registry import Registry
from fhir_server.packaging.installing import Packager
from fhir_server.search.editions import Edition, Editions
from fhir_server.search.indexing import Indexer
from fhir_server.search.library import TenantLibrary
from fhir_server.search.paging import CursorSigner
from fhir_server.search.parameters import Parameters
from fhir_server.search.planning import Planner, Search
from fhir_server.search.shelved import ShelvedConcepts
from fhir_server.search.shelves import Glance, Shelves
from fhir_server.search.terms import TermHash
from fhir_server.validation import Validator
from fhir_server.validation.conformance import Conformance


@dataclass(frozen=True)
class Limits:
    """How much one request may ask for."""

    default_page: int = 50
    max_page: int = 1000
    import_hosts: tuple[str, ...] = ()
    import_dir: str = ""
    references: str = "accept"


@dataclass(frozen=True)
class Services:
    """The parts of the server that interactions use."""

    store: Store
    concepts: ConceptStore
    shelves: Shelves
    packages: Packages
    jobs: Jobs
    definitions: Definitions
    editions: Editions
    validator: Validator
    conformance: Conformance
    registry: Registry
    cursors: CursorSigner
    clock: Clock
    ids: IdSource
    terminology: Terminology
    settler: Settler
    following: Following
    reindexing: Reindexing
    packager: Packager
    limits: Limits = Limits()
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True, slots=True)
class Call:
    """One request being served: whose data, under which URL, and in which transaction if any."""

    services: Services
    scope: Scope
    base_url: str
    request: Request
    records: Writing
    in_transaction: bool = False

    @property
    def tenant(self) -> Tenant:
        """Whose data."""
        return self.scope.tenant

    @property
    def edition(self) -> Edition:
        """The tenant's search parameters with what works by them, as of now; they may change while a call runs."""
        return self.services.editions.of(self.scope.tenant)

    @property
    def parameters(self) -> Parameters:
        """The tenant's search parameters."""
        return self.edition.parameters

    @property
    def indexer(self) -> Indexer:
        """What indexes the tenant's resources."""
        return self.edition.indexer

    @property
    def planner(self) -> Planner:
        """What plans the tenant's searches."""
        return self.edition.planner

    @property
    def term(self) -> TermHash:
        """The tenant's term hash."""
        return self.indexer.hash_of(self.scope.tenant)

    def searching(self) -> Search:
        """Return a search to be made in this call."""
        services = self.services
        group = (self.tenant.database, self.scope.access.predicate)
        now = services.clock.now()
        return Search(self.tenant, self.records, self.library(), services.terminology, now, self.base_url, group)

    def library(self) -> TenantLibrary:
        """Return where the tenant's value sets, code systems and other definitions are found in this call."""
        return self._library(self.records)

    def definition_library(self) -> TenantLibrary:
        """Return where validation finds definitions: what all know of a tenant depends on no caller and transaction."""
        return self._library(self.services.store.records(Scope(self.tenant)))

    def _library(self, records: Reading) -> TenantLibrary:
        services, tenant = self.services, self.tenant
        # Who may see everything finds what all others find.
        is_shared = not self.in_transaction and isinstance(self.scope.access.predicate, Everything)
        concepts: Concepts = services.concepts.of(tenant)
        if not is_shared:
            return TenantLibrary(tenant, records, services.packages, self.term, self.parameters, concepts)
        shelf = Glance(services.shelves, tenant)
        shelved = cast(Concepts, ShelvedConcepts(concepts, shelf))
        return TenantLibrary(tenant, records, services.packages, self.term, self.parameters, shelved, shelf)

    def full_url(self, key: str) -> str:
        """Return the absolute URL of a resource."""
        return f"{self.base_url}/{key}"
