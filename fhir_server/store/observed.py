"""Records that ask an observer before every write and tell it after: the one place where all writes pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fhir_server.api.editions import WriteObserver
from fhir_server.api.ports import TransactionConflict
from fhir_server.api.records import Draft, Stored
from fhir_server.api.tenant import Scope
from fhir_server.store.coalesce import Coalescer
from fhir_server.store.driver import DatabaseError, Driver, Session
from fhir_server.store.records import Records
from fhir_server.store.windows import Windows


class ObservedRecords(Records):
    """A scope's records under observation; what a transaction writes is told after its commit."""

    def __init__(
        self,
        driver: Driver,
        scope: Scope,
        coalescer: Coalescer,
        observer: WriteObserver,
        session: Session | None = None,
        windows: Windows | None = None,
    ) -> None:
        super().__init__(driver, scope, coalescer, session, windows)
        self._observer = observer
        self._tenant = scope.tenant
        self.written: list[Draft] = []

    async def create(self, drafts: Sequence[Draft]) -> None:
        """Insert records that were never there; raises Duplicate."""
        drafts = await self._observer.before_write(self._tenant, drafts)
        try:
            await super().create(drafts)
        finally:  # some may be written where another was a duplicate
            await self._told(drafts)

    async def replace(self, changes: Sequence[tuple[Draft, Stored]]) -> bool:
        """Write drafts over the versions they were made from; False when one is no longer current."""
        drafts = await self._observer.before_write(self._tenant, [draft for draft, _ in changes])
        try:
            return await super().replace([(draft, old) for draft, (_, old) in zip(drafts, changes, strict=True)])
        finally:
            await self._told(drafts)

    async def _told(self, drafts: Sequence[Draft]) -> None:
        if self._session is None:
            await self._observer.after_commit(self._tenant, drafts)
        else:
            self.written += drafts


@asynccontextmanager
async def observed_transaction(
    driver: Driver, scope: Scope, coalescer: Coalescer, observer: WriteObserver, windows: Windows | None = None
) -> AsyncIterator[ObservedRecords]:
    """Open a transaction on a scope's records; raises TransactionConflict when it is to be tried again."""
    try:
        async with driver.transaction() as session:
            records = ObservedRecords(driver, scope, coalescer, observer, session, windows)
            yield records
            await observer.before_commit(scope.tenant, records.written)
    except DatabaseError as error:
        if error.transient:
            raise TransactionConflict from error
        raise
    await observer.after_commit(scope.tenant, records.written)
