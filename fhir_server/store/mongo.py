"""MongoStore: tenants, their databases and indexes, and the records in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fhir_server.api.editions import WriteObserver
from fhir_server.api.ports import Writing
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.store.coalesce import Coalescer
from fhir_server.store.documents import INDEXES, Json
from fhir_server.store.driver import DURABLE, NAMESPACE_EXISTS, DatabaseError, Driver
from fhir_server.store.mongojet_driver import MongojetDriver
from fhir_server.store.observed import ObservedRecords, observed_transaction
from fhir_server.store.pymongo_driver import PymongoDriver
from fhir_server.store.records import Records, transaction
from fhir_server.store.windows import Windows

SYSTEM = "system"


async def connect(url: str, driver: str = "mongojet") -> Driver:
    """Connect to a MongoDB URL with the named driver (`mongojet` or `pymongo`); nothing is sent yet."""
    return await (MongojetDriver.connect(url) if driver == "mongojet" else PymongoDriver.connect(url))


class MongoStore:
    """All tenants of one deployment: a database for each, and one that knows them."""

    def __init__(
        self, driver: Driver, prefix: str, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._driver = driver
        self._prefix = prefix
        self._now = now
        self._windows: Windows | None = None
        self._coalescer = Coalescer()
        self._tenants: dict[str, Tenant] = {}
        self._observer: WriteObserver | None = None

    def observe(self, observer: WriteObserver) -> None:
        """Let an observer see every write from now on."""
        self._observer = observer

    def records(self, scope: Scope) -> Writing:
        """Return the records of a scope."""
        if self._observer is None:
            return Records(self._driver, scope, self._coalescer, windows=self._windows)
        return ObservedRecords(self._driver, scope, self._coalescer, self._observer, windows=self._windows)

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[Writing]:
        """Open a transaction on the records of a scope."""
        if self._observer is None:
            return transaction(self._driver, scope, self._coalescer, self._windows)
        return observed_transaction(self._driver, scope, self._coalescer, self._observer, self._windows)

    async def tenant(self, name: str) -> Tenant | None:
        """Return a tenant by its name; tenants are remembered, for they do not change."""
        known = self._tenants.get(name)
        if known is None:
            found = await self._driver.command(self._system, {"find": "tenants", "filter": {"_id": name}, "limit": 1})
            for row in found["cursor"]["firstBatch"]:
                known = self._tenants[name] = Tenant(row["_id"], row["database"], bytes(row["index_key"]))
        return known

    async def create_tenant(self, name: str, index_key: bytes) -> Tenant:
        """Create a tenant with its database and indexes, or return the one that is there.

        `index_key` is 32 random bytes; of two creators at once the first one's key stays.
        """
        database = f"{self._prefix}_{name}"
        row: Json = {"database": database, "index_key": index_key}
        upsert = {"q": {"_id": name}, "u": {"$setOnInsert": row}, "upsert": True}
        await self._driver.command(self._system, {"update": "tenants", "updates": [upsert], "writeConcern": DURABLE})
        tenant = await self.tenant(name)
        assert tenant is not None, "a tenant just written can be read"
        await self.ensure_indexes(tenant)
        await self.learn_engine()
        return tenant

    async def learn_engine(self) -> None:
        """Ask for pages in windows of time where the database gathers all matches first."""
        about = await self._driver.command(self._system, {"buildInfo": 1})
        if self._windows is None and "secantusVersion" in about:
            self._windows = Windows(self._now)

    async def ensure_indexes(self, tenant: Tenant) -> None:
        """Create the collections and indexes of a tenant that are not there yet."""
        for collection, indexes in INDEXES.items():
            try:
                await self._driver.command(tenant.database, {"create": collection})
            except DatabaseError as error:
                if error.code != NAMESPACE_EXISTS:
                    raise
            await self._driver.command(tenant.database, {"createIndexes": collection, "indexes": indexes})

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """Return the deployment's secret of a name; the first one to ask stores its fresh one."""
        upsert = {"q": {"_id": name}, "u": {"$setOnInsert": {"value": fresh}}, "upsert": True}
        await self._driver.command(self._system, {"update": "secrets", "updates": [upsert], "writeConcern": DURABLE})
        found = await self._driver.command(self._system, {"find": "secrets", "filter": {"_id": name}, "limit": 1})
        return bytes(found["cursor"]["firstBatch"][0]["value"])

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await asyncio.wait_for(self._driver.command(self._system, {"ping": 1}), timeout=5)

    async def drop_everything(self) -> None:
        """Remove every tenant and the system database."""
        found = await self._driver.command(self._system, {"find": "tenants"})
        for row in found["cursor"]["firstBatch"]:
            await self._driver.command(row["database"], {"dropDatabase": 1})
        await self._driver.command(self._system, {"dropDatabase": 1})
        self._tenants.clear()

    async def close(self) -> None:
        """Drop the connections."""
        await self._driver.close()

    @property
    def _system(self) -> str:
        return f"{self._prefix}_{SYSTEM}"
