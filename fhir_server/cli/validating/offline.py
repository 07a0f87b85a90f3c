"""The validation of the server, without one: what a resource is by itself, and what it claims or is asked to be."""

from __future__ import annotations

from typing import Any

from fhir_server.api.conformance import ConformanceState, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.api.terminology import Library, Terminology
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation import Validator
from fhir_server.validation.conformance import Conformance, Wish
from fhir_server.validation.knowledge import KnowledgeOfTenants

_NOBODY = Tenant("offline", "", b"")


class OfflineValidator:
    """Validates by FHIR, and by the definitions of one library, which does not change meanwhile."""

    def __init__(self, library: Library, terminology: Terminology) -> None:
        self._library = library
        self._validator = Validator(r4())
        self._conformance = Conformance(r4(), KnowledgeOfTenants(Unchanging()), terminology)

    async def issues(self, resource: Any, profiles: tuple[str, ...] = ()) -> list[Issue]:
        """Return everything there is to say about a resource, as $validate does."""
        found = self._validator.validate(resource, allow_conditional_references=True, advice=True)
        wish = Wish(profiles, advice=True)
        return [*found, *await self._conformance.issues(_NOBODY, lambda: self._library, resource, wish)]


class Unchanging:
    """api.conformance.ConformanceStates of somebody who has no policy and changes nothing."""

    async def read(self, tenant: Tenant) -> ConformanceState:
        return ConformanceState()

    async def news(self, tenant: Tenant, generation: int) -> ConformanceState | None:
        return None

    async def touch(self, tenant: Tenant) -> None:
        raise NotImplementedError

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        raise NotImplementedError
