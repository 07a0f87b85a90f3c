"""Settling which search parameters of a tenant are in force, after SearchParameters were written.

The set is made anew from all SearchParameters there are, so it does not matter who settles, or how often; it is put in
force by its generation, so that of racing settlers the last one has seen what all had written. A process that dies
between its write and the settling has announced the write, and another one settles it later.
https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from fhir_server.api.criteria import OfType, Order, Position
from fhir_server.api.editions import Announcement, ParameterSet, ParameterSets
from fhir_server.api.errors import Conflict
from fhir_server.api.ports import Clock, JobRecord, Jobs, Store
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.fhir.json import decode_stored
from fhir_server.search.accepting import TYPE
from fhir_server.search.custom import Custom, Json
from fhir_server.search.editions import Editions

REINDEX = "reindex"
# No transaction lives longer. https://www.mongodb.com/docs/manual/reference/parameter/#param.transactionLifetimeLimitSeconds
ABANDONED_MS = 60_000
MAX_TRIES = 20
_PAGE = 500

_log = logging.getLogger(__name__)


class Settler:
    """Makes sets and puts them in force; one for the server."""

    def __init__(self, store: Store, sets: ParameterSets, jobs: Jobs, editions: Editions, clock: Clock) -> None:
        self._store = store
        self._sets = sets
        self._jobs = jobs
        self._editions = editions
        self._clock = clock

    def generation(self, tenant: Tenant) -> int:
        """Return the generation this process works by."""
        return self._editions.of(tenant).generation

    def adopt(self, tenant: Tenant, kept: ParameterSet) -> None:
        """Work by a set from now on."""
        self._editions.adopt(tenant, kept.generation, _customs(kept))

    async def announce(self, tenant: Tenant, tokens: Sequence[str]) -> None:
        """Say that SearchParameters are about to be written."""
        now = self._clock.now()
        await self._sets.announce(tenant, [Announcement(token, now) for token in tokens])

    async def settle(self, tenant: Tenant, tokens: Sequence[str]) -> None:
        """Put in force what the SearchParameters of the tenant say now, and have older resources indexed by it.

        `tokens` are the announcements that this answers.
        """
        for _ in range(MAX_TRIES):
            kept = await self._sets.read(tenant)
            before = _customs(kept)
            customs = self._editions.acceptance.in_force(await self._stored(tenant), before, kept.generation + 1)
            if customs == before or await self._change(tenant, kept, customs):
                await self._index(tenant, customs)
                await self._sets.settle(tenant, tokens)
                return
        raise Conflict("The search parameters are being changed by too many writers at once.")

    async def ready(self, tenant: Tenant, generation: int, types: frozenset[str]) -> None:
        """Say that all resources of these types are indexed by what had come up to a generation."""
        for _ in range(MAX_TRIES):
            kept = await self._sets.read(tenant)
            before = _customs(kept)
            customs = [self._done(custom, generation, types) for custom in before]
            if customs == before or await self._change(tenant, kept, customs):
                return
        raise Conflict("The search parameters are being changed by too many writers at once.")

    async def finish_abandoned(self, tenant: Tenant, kept: ParameterSet) -> None:
        """Settle what was announced so long ago that whoever wrote it must be gone."""
        old = [a.token for a in kept.announced if self._clock.now() - a.at > ABANDONED_MS]
        if old:
            _log.warning("abandoned_parameters_settled tenant=%s count=%d", tenant.name, len(old))
            await self.settle(tenant, old)

    def _done(self, custom: Custom, generation: int, types: frozenset[str]) -> Custom:
        is_done = custom.since <= generation and types.issuperset(self._editions.acceptance.types_of(custom.bases))
        return msgspec.structs.replace(custom, ready=True) if is_done and not custom.ready else custom

    async def _change(self, tenant: Tenant, kept: ParameterSet, customs: Sequence[Custom]) -> bool:
        rows: list[Json] = msgspec.to_builtins(list(customs))
        if not await self._sets.change(tenant, kept.generation, rows):
            return False
        self._editions.adopt(tenant, kept.generation + 1, customs)
        return True

    async def _index(self, tenant: Tenant, customs: Sequence[Custom]) -> None:
        """Queue a job for each generation that is not indexed; one that is queued already keeps its place."""
        for generation in sorted({c.since for c in customs if not c.ready}):
            bases = {base for c in customs if c.since == generation for base in c.bases}
            given: Json = {"types": self._editions.acceptance.types_of(bases), "generation": generation}
            kept: Json = {"input": given, "type": "", "id": ""}
            job = JobRecord(f"{REINDEX}-{generation}", REINDEX, self._editions.base_url(tenant), kept)
            await self._jobs.add(tenant, job, self._clock.now())

    async def _stored(self, tenant: Tenant) -> list[tuple[str, Json]]:
        records = self._store.records(Scope(tenant))
        found: list[tuple[str, Json]] = []
        after: Position | None = None
        while True:
            page = await records.search(OfType((TYPE,)), Order("key", descending=False), _PAGE, after)
            found += [(one.key, decode_stored(one.raw)) for one in page.records]
            if not page.more:
                return found
            after = Position(0, page.records[-1].key)


def _customs(kept: ParameterSet) -> list[Custom]:
    return msgspec.convert(list(kept.rows), list[Custom])
