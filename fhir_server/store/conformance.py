"""A tenant's validation policy and the generation of its definitions: one document. See api.conformance.

conformance   _id  "in-force"
              g    generation
              p    policy
"""

from __future__ import annotations

import msgspec

from fhir_server.api.conformance import ConformanceState, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.store.documents import Json
from fhir_server.store.driver import DUPLICATE_KEY, DURABLE, DatabaseError, Driver

COLLECTION = "conformance"
IN_FORCE = "in-force"


class MongoConformance:
    """The states of all tenants, each in its tenant's database."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def read(self, tenant: Tenant) -> ConformanceState:
        """Return the state; that of a tenant nobody ever changed anything for is the initial one."""
        return await self._find(tenant, {"_id": IN_FORCE}) or ConformanceState()

    async def news(self, tenant: Tenant, generation: int) -> ConformanceState | None:
        """Return the state when it is of another generation."""
        return await self._find(tenant, {"_id": IN_FORCE, "g": {"$ne": generation}})

    async def touch(self, tenant: Tenant) -> None:
        """Count one more change."""
        await self._update(tenant, {"$inc": {"g": 1}})

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        """Put a policy in force."""
        await self._update(tenant, {"$inc": {"g": 1}, "$set": {"p": msgspec.to_builtins(policy)}})

    async def _find(self, tenant: Tenant, query: Json) -> ConformanceState | None:
        for row in await self._driver.find(tenant.database, COLLECTION, query, {"g": 1, "p": 1}, 1):
            return ConformanceState(int(row["g"]), msgspec.convert(row.get("p", {}), ValidationPolicy))
        return None

    async def _update(self, tenant: Tenant, change: Json) -> None:
        updates = [{"q": {"_id": IN_FORCE}, "u": change, "upsert": True}]
        command: Json = {"update": COLLECTION, "updates": updates, "writeConcern": DURABLE}
        for _ in range(2):  # of two that make the document at once, one is told of a duplicate, and then finds it there
            reply = await self._driver.command(tenant.database, command)
            errors = reply.get("writeErrors", ())
            if not errors:
                return
            if errors[0]["code"] != DUPLICATE_KEY:
                raise DatabaseError(str(errors[0].get("errmsg")), errors[0]["code"])
        raise DatabaseError("The conformance document could not be made.", DUPLICATE_KEY)
