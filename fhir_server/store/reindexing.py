"""Reindexing in MongoDB: walks along the keys, updates that touch the index alone. See api.editions.Reindexing.

A walk needs no index but the one on `_id`: the resources of a type lie together there.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api.editions import Indexed
from fhir_server.api.records import Draft, Index
from fhir_server.api.tenant import Tenant
from fhir_server.store.documents import RESOURCES, Json, to_document, to_stored
from fhir_server.store.driver import DURABLE, WRITE_CONFLICT, DatabaseError, Driver
from fhir_server.store.filters import LIVE

_PROJECTION: Json = {"v": 1, "u": 1, "m": 1, "raw": 1, "t": 1, "s": 1, "d": 1, "p": 1, "g": 1}
# What of a document is the resource itself; all else says what it is found by.
_ITSELF = frozenset({"_id", "v", "u", "y", "m", "raw"})
_INDEX = ("t", "s", "d", "p", "g")
_AFTER_SLASH = chr(ord("/") + 1)


class MongoReindexing:
    """The resources of all tenants, for reindexing alone."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def walk(
        self, tenant: Tenant, resource_type: str, after: str, limit: int, below: int | None, since: int | None = None
    ) -> list[Indexed]:
        """Return the next live resources of a type after a key, in the order of their keys."""
        query: Json = {"_id": {"$gt": after or f"{resource_type}/", "$lt": resource_type + _AFTER_SLASH}, **LIVE}
        if since is not None:
            query |= {"y": resource_type, "u": {"$gte": since}}
        if below is not None:
            query["$nor"] = [{"g": {"$gte": below}}]
        return await self._find(tenant, query, limit)

    async def get(self, tenant: Tenant, key: str) -> Indexed | None:
        """Return one live resource."""
        return next(iter(await self._find(tenant, {"_id": key, **LIVE}, 1)), None)

    async def rewrite(self, tenant: Tenant, drafts: Sequence[Draft]) -> int:
        """Replace what these versions are found by and return how many were; others have changed meanwhile."""
        if not drafts:
            return 0
        command: Json = {"update": RESOURCES, "updates": [_update(d) for d in drafts], "ordered": False}
        reply = await self._driver.command(tenant.database, {**command, "writeConcern": DURABLE})
        for error in reply.get("writeErrors", ()):
            if error["code"] != WRITE_CONFLICT:  # a transaction has it in hand, and indexes it itself
                raise DatabaseError(str(error.get("errmsg")), error["code"])
        return int(reply["n"])

    async def _find(self, tenant: Tenant, query: Json, limit: int) -> list[Indexed]:
        rows = await self._driver.find(tenant.database, RESOURCES, query, _PROJECTION, limit, {"_id": 1})
        return [_indexed(row) for row in rows]


def _update(draft: Draft) -> Json:
    document = to_document(draft)
    given = {name: value for name, value in document.items() if name not in _ITSELF}
    gone = {name: "" for name in _INDEX if name not in given}
    query: Json = {"_id": draft.key, "v": draft.version, "$nor": [{"g": {"$gt": draft.generation}}]}
    return {"q": query, "u": {"$set": given, **({"$unset": gone} if gone else {})}}


def _indexed(row: Json) -> Indexed:
    index = Index(tuple(row.get("t", ())), tuple(row.get("s", ())), int(row.get("d", 0)), tuple(row.get("p", ())))
    return Indexed(to_stored(row), index, int(row.get("g", 0)))
