"""What is done about search parameters and definitions at every write, wherever it comes from.

See api.editions.WriteObserver.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from fhir_server.api.ports import TransactionConflict
from fhir_server.api.records import Draft
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.json import decode_stored
from fhir_server.interactions.following import Following
from fhir_server.interactions.settling import Settler
from fhir_server.search.accepting import TYPE
from fhir_server.search.editions import Edition, Editions
from fhir_server.validation.knowledge import KnowledgeOfTenants

_KEYS = TYPE + "/"
# What validation goes by, see api.conformance.
_DEFINITIONS = ("CodeSystem/", "ConceptMap/", "Questionnaire/", "StructureDefinition/", "ValueSet/")

_log = logging.getLogger(__name__)


class DefinitionObserver:
    """Sees to it that nothing is written by an old set, and that sets and knowledge follow what is written."""

    def __init__(
        self, editions: Editions, following: Following, settler: Settler, knowledge: KnowledgeOfTenants
    ) -> None:
        self._editions = editions
        self._following = following
        self._settler = settler
        self._knowledge = knowledge

    async def before_write(self, tenant: Tenant, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Return the drafts indexed with the parameters in force."""
        if self._following.is_late(tenant):
            await self._following.catch_up(tenant)
        edition = self._editions.of(tenant)
        if any(d.generation != edition.generation and not d.deleted for d in drafts):
            drafts = [self._indexed(d, tenant, edition) for d in drafts]
        if tokens := self._tokens(drafts):
            await self._settler.announce(tenant, tokens)
        return drafts

    async def before_commit(self, tenant: Tenant, drafts: Sequence[Draft]) -> None:
        """Raise TransactionConflict when other parameters came into force since the drafts were written."""
        if self._following.is_late(tenant):
            await self._following.catch_up(tenant)
        generation = self._editions.of(tenant).generation
        if any(d.generation != generation and not d.deleted for d in drafts):
            raise TransactionConflict

    async def after_commit(self, tenant: Tenant, drafts: Sequence[Draft]) -> None:
        """Put SearchParameters that were written in force; where that fails, somebody does it later."""
        if any(d.key.startswith(_DEFINITIONS) for d in drafts):
            await self._told(tenant)
        tokens = self._tokens(drafts)
        if not tokens:
            return
        try:
            await self._settler.settle(tenant, tokens)
        except Exception as error:  # noqa: BLE001  the write has happened, and its announcement stands
            _log.warning("parameters_not_settled error=%s", type(error).__name__)

    async def _told(self, tenant: Tenant) -> None:
        try:
            await self._knowledge.changed(tenant)
        except Exception as error:  # noqa: BLE001  the write has happened; what is known gets old and is asked anew
            _log.warning("definitions_not_followed error=%s", type(error).__name__)

    def _tokens(self, drafts: Sequence[Draft]) -> list[str]:
        """Return what to announce: every write of SearchParameters that can change the set."""
        return [f"{d.key}/{d.version}" for d in drafts if d.key.startswith(_KEYS) and self._matters(d)]

    def _matters(self, draft: Draft) -> bool:
        return draft.version > 1 or self._editions.acceptance.counts(decode_stored(draft.raw))

    def _indexed(self, draft: Draft, tenant: Tenant, edition: Edition) -> Draft:
        if draft.deleted or draft.generation == edition.generation:
            return draft
        index = edition.indexer.index(tenant, decode_stored(draft.raw), self._editions.base_url(tenant))
        return msgspec.structs.replace(draft, index=index, generation=edition.generation)
