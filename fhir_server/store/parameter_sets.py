"""A tenant's own search parameters in MongoDB: one document, changed by its generation. See api.editions.ParameterSets.

search_parameters   _id  "in-force"
                    g    generation
                    r    the parameters
                    a    announcements: {token, at}
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fhir_server.api.editions import Announcement, ParameterSet
from fhir_server.api.tenant import Tenant
from fhir_server.store.documents import Json
from fhir_server.store.driver import DUPLICATE_KEY, DURABLE, DatabaseError, Driver

COLLECTION = "search_parameters"
IN_FORCE = "in-force"


class MongoParameterSets:
    """The sets of all tenants, each in its tenant's database."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def read(self, tenant: Tenant) -> ParameterSet:
        """Return the set in force; one that nobody ever changed is empty."""
        return await self._find(tenant, {"_id": IN_FORCE}) or ParameterSet()

    async def news(self, tenant: Tenant, generation: int) -> ParameterSet | None:
        """Return the set when it is of another generation or something is announced."""
        is_new = [{"g": {"$ne": generation}}, {"a.0": {"$exists": True}}]
        return await self._find(tenant, {"_id": IN_FORCE, "$or": is_new})

    async def announce(self, tenant: Tenant, announcements: Sequence[Announcement]) -> None:
        """Keep announcements."""
        rows = msgspec.to_builtins(list(announcements))
        change = {"$push": {"a": {"$each": rows}}, "$setOnInsert": {"g": 0, "r": []}}
        await self._update(tenant, {"_id": IN_FORCE}, change, upsert=True)

    async def change(self, tenant: Tenant, generation: int, rows: Sequence[Json]) -> bool:
        """Put the next generation in force, unless another came first."""
        change: Json = {"$set": {"g": generation + 1, "r": list(rows)}}
        if generation:
            return await self._update(tenant, {"_id": IN_FORCE, "g": generation}, change)
        # Nobody may have announced anything: then there is no document yet.
        return await self._update(tenant, {"_id": IN_FORCE, "g": 0}, change, upsert=True)

    async def settle(self, tenant: Tenant, tokens: Sequence[str]) -> None:
        """Take back announcements."""
        await self._update(tenant, {"_id": IN_FORCE}, {"$pull": {"a": {"token": {"$in": list(tokens)}}}})

    async def _find(self, tenant: Tenant, query: Json) -> ParameterSet | None:
        for row in await self._driver.find(tenant.database, COLLECTION, query, {"g": 1, "r": 1, "a": 1}, 1):
            announced = tuple(Announcement(a["token"], int(a["at"])) for a in row.get("a", ()))
            return ParameterSet(int(row["g"]), tuple(row["r"]), announced)
        return None

    async def _update(self, tenant: Tenant, query: Json, change: Json, *, upsert: bool = False) -> bool:
        updates = [{"q": query, "u": change, "upsert": upsert}]
        command: Json = {"update": COLLECTION, "updates": updates, "writeConcern": DURABLE}
        reply = await self._driver.command(tenant.database, command)
        for error in reply.get("writeErrors", ()):
            if error["code"] == DUPLICATE_KEY:  # another one made the document, of another generation
                return False
            raise DatabaseError(str(error.get("errmsg")), error["code"])
        return bool(reply["n"])
