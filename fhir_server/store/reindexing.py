"""Reindexing in MongoDB: walks along the keys, updates that touch the index alone. See api.editions.Reindexing.

Keys are read far ahead of resources: the resources of a type lie together in the index on `_id`, and a database that
gathers all matches before it cuts a page off (docs/adr/0003) does so for a few long pages, not for many short ones.
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

    async def keys(
        self, tenant: Tenant, resource_type: str, after: str, limit: int, since: int | None = None
    ) -> list[str]:
        """Return the next keys of a type after one: nothing but an index is read."""
        query: Json = {"_id": {"$gt": after or f"{resource_type}/", "$lt": resource_type + _AFTER_SLASH}}
        if since is not None:
            query |= {"y": resource_type, "u": {"$gte": since}}
        rows = await self._driver.find(tenant.database, RESOURCES, query, {"_id": 1}, limit, {"_id": 1})
        return [row["_id"] for row in rows]

    async def read(self, tenant: Tenant, keys: Sequence[str], below: int | None = None) -> list[Indexed]:
        """Return the live ones of these resources; with `below` only those indexed with an older generation."""
        query: Json = {"_id": {"$in": list(keys)}, **LIVE}
        if below is not None:
            query["g"] = {"$not": {"$gte": below}}
        rows = await self._driver.find(tenant.database, RESOURCES, query, _PROJECTION, len(keys))
        return [_indexed(row) for row in rows]

    async def rewrite(self, tenant: Tenant, changes: Sequence[tuple[Indexed, Draft]]) -> int:
        """Replace what resources are found by as they were read, and return how many were.

        All in one transaction, for that costs a fraction of as many single updates; where another writer gets in its
        way, one by one.
        """
        command: Json = {"update": RESOURCES, "updates": [_update(*change) for change in changes], "ordered": False}
        try:
            async with self._driver.transaction() as session:
                return int((await self._driver.command(tenant.database, command, session))["n"])
        except DatabaseError as error:
            if not error.transient:
                raise
        reply = await self._driver.command(tenant.database, {**command, "writeConcern": DURABLE})
        for refused in reply.get("writeErrors", ()):
            if refused["code"] != WRITE_CONFLICT:  # somebody has it in hand
                raise DatabaseError(str(refused.get("errmsg")), refused["code"])
        return int(reply["n"])


def _update(found: Indexed, draft: Draft) -> Json:
    document = to_document(draft)
    given = {name: value for name, value in document.items() if name not in _ITSELF}
    gone = {name: "" for name in _INDEX if name not in given}
    query: Json = {"_id": draft.key, "v": draft.version, "g": found.generation or None}
    return {"q": query, "u": {"$set": given, **({"$unset": gone} if gone else {})}}


def _indexed(row: Json) -> Indexed:
    index = Index(tuple(row.get("t", ())), tuple(row.get("s", ())), int(row.get("d", 0)), tuple(row.get("p", ())))
    return Indexed(to_stored(row), index, int(row.get("g", 0)))
