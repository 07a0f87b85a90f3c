"""Packages in MongoDB: one document says which are in force, changed by its generation. See api.packages.

packages            _id  "in-force"
                    g    generation
                    r    the packages
package_loads       _id  the key of some content
                    at   when it was added to last, ms; -1 when it is being given up
package_resources   _id  key/file
                    k    key
                    t u v i f  type, url, version, id, file
                    raw  the bytes of the file
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import msgspec

from fhir_server.api.errors import Conflict
from fhir_server.api.packages import Installed, Package, PackageResource
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.versions import order
from fhir_server.store.documents import Json
from fhir_server.store.driver import DUPLICATE_KEY, DURABLE, DatabaseError, Driver

PACKAGES = "packages"
LOADS = "package_loads"
RESOURCES = "package_resources"
IN_FORCE = "in-force"
INDEXES: list[Json] = [{"name": "url", "key": {"u": 1, "t": 1}}, {"name": "key", "key": {"k": 1}}]

# Content that nobody has added to for so long was left behind by a process that died.
LEASE_MS = 10 * 60_000
# A command is a document too, and may have 16 MB. https://www.mongodb.com/docs/manual/reference/limits/
BATCH_BYTES = 12 * 1024 * 1024
MOST = 1_000_000
_GIVEN_UP = -1
_LISTED: Json = {"t": 1, "u": 1, "v": 1, "i": 1, "f": 1}


class MongoPackages:
    """The packages of all tenants, each in its tenant's database."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def find(self, tenant: Tenant, resource_type: str, url: str) -> list[bytes]:
        """Return the resources with a canonical URL, newest version first."""
        rows, packages = await self._look(tenant, resource_type, url)
        if rows and not packages:  # what was in force a moment ago may just have been replaced
            rows, packages = await self._look(tenant, resource_type, url)

        def newest(row: Json) -> Any:
            return order(row["v"]), packages[row["k"]].installed, row["f"]

        return [row["raw"] for row in sorted((r for r in rows if r["k"] in packages), key=newest, reverse=True)]

    async def _look(self, tenant: Tenant, resource_type: str, url: str) -> tuple[list[Json], dict[str, Package]]:
        """Return everything with that URL, and the packages in force that have some of it, by their keys."""
        query, shown = {"u": url, "t": resource_type}, {"k": 1, "v": 1, "f": 1, "raw": 1}
        rows = await self._driver.find(tenant.database, RESOURCES, query, shown, MOST)
        if not rows:
            return [], {}
        keys = {row["k"] for row in rows}
        return rows, {p.key: p for p in (await self.installed(tenant)).packages if p.key in keys}

    async def installed(self, tenant: Tenant) -> Installed:
        """Return the packages in force."""
        for row in await self._driver.find(tenant.database, PACKAGES, {"_id": IN_FORCE}, {"g": 1, "r": 1}, 1):
            return Installed(int(row["g"]), tuple(msgspec.convert(one, Package) for one in row["r"]))
        return Installed()

    async def contents(self, tenant: Tenant, key: str) -> list[PackageResource]:
        """Return what a package has, without the bytes."""
        rows = await self._driver.find(tenant.database, RESOURCES, {"k": key}, _LISTED, MOST)
        found = [PackageResource(row["t"], row["u"], row["v"], row["i"], row["f"]) for row in rows]
        return sorted(found, key=lambda one: (one.type, one.url, one.file))

    async def begin(self, tenant: Tenant, now: int) -> str:
        """Return a new key, and clear away what others left behind."""
        await self._driver.command(tenant.database, {"createIndexes": RESOURCES, "indexes": INDEXES})
        await self._clear(tenant, now)
        key = uuid4().hex
        load = {"_id": key, "at": now}
        await self._driver.command(tenant.database, {"insert": LOADS, "documents": [load], "writeConcern": DURABLE})
        return key

    async def add(self, tenant: Tenant, key: str, resources: Sequence[PackageResource], now: int) -> None:
        """Add content under a key."""
        await self._renew(tenant, [key], now)
        batch: list[Json] = []
        size = 0
        for resource in resources:
            if batch and size + len(resource.raw) > BATCH_BYTES:
                await self._insert(tenant, batch)
                batch, size = [], 0
            batch.append(_document(key, resource))
            size += len(resource.raw)
        if batch:
            await self._insert(tenant, batch)

    async def change(self, tenant: Tenant, generation: int, packages: Sequence[Package], now: int) -> bool:
        """Put packages in force, unless another change came first."""
        before = await self.installed(tenant)
        if before.generation != generation:
            return False
        known = {package.key for package in before.packages}
        await self._renew(tenant, [package.key for package in packages if package.key not in known], now)
        rows = [msgspec.to_builtins(p) for p in sorted(packages, key=lambda p: (p.name, order(p.version)))]
        where: Json = {"_id": IN_FORCE, "g": generation}
        update = {"q": where, "u": {"$set": {"g": generation + 1, "r": rows}}, "upsert": generation == 0}
        command: Json = {"update": PACKAGES, "updates": [update], "writeConcern": DURABLE}
        reply = await self._driver.command(tenant.database, command)
        for error in reply.get("writeErrors", ()):
            if error["code"] == DUPLICATE_KEY:  # the first change of all was another's
                return False
            raise DatabaseError(str(error.get("errmsg")), error["code"])
        return bool(reply["n"])

    async def discard(self, tenant: Tenant, keys: Sequence[str]) -> None:
        """Remove the content of keys that are not in force."""
        in_force = {package.key for package in (await self.installed(tenant)).packages}
        await self._delete(tenant, [key for key in keys if key not in in_force])

    async def _insert(self, tenant: Tenant, documents: list[Json]) -> None:
        command: Json = {"insert": RESOURCES, "documents": documents, "writeConcern": DURABLE}
        reply = await self._driver.command(tenant.database, command)
        for error in reply.get("writeErrors", ()):
            raise DatabaseError(str(error.get("errmsg")), error["code"])

    async def _renew(self, tenant: Tenant, keys: Sequence[str], now: int) -> None:
        """Hold keys for another lease. Raises Conflict when one was given up."""
        if not keys:
            return
        where: Json = {"_id": {"$in": list(keys)}, "at": {"$gt": _GIVEN_UP}}
        if await self._update(tenant, where, now) < len(keys):
            raise Conflict("The installation took too long between two steps and was given up. Start it again.")

    async def _update(self, tenant: Tenant, where: Json, at: int) -> int:
        updates = [{"q": where, "u": {"$set": {"at": at}}, "multi": True}]
        command: Json = {"update": LOADS, "updates": updates, "writeConcern": DURABLE}
        return int((await self._driver.command(tenant.database, command))["n"])

    async def _clear(self, tenant: Tenant, now: int) -> None:
        """Remove content that nobody adds to any more and that never came into force, or no longer is."""
        in_force = {package.key for package in (await self.installed(tenant)).packages}
        old = {"at": {"$lt": now - LEASE_MS}}
        rows = await self._driver.find(tenant.database, LOADS, old, {"_id": 1}, MOST)
        left = [row["_id"] for row in rows if row["_id"] not in in_force]
        if left and await self._update(tenant, {"_id": {"$in": left}, **old}, _GIVEN_UP):
            gone = {"_id": {"$in": left}, "at": _GIVEN_UP}
            rows = await self._driver.find(tenant.database, LOADS, gone, {"_id": 1}, MOST)
            await self._delete(tenant, [row["_id"] for row in rows])

    async def _delete(self, tenant: Tenant, keys: Iterable[str]) -> None:
        wanted = list(keys)
        if not wanted:
            return
        for collection, query in ((RESOURCES, {"k": {"$in": wanted}}), (LOADS, {"_id": {"$in": wanted}})):
            deletes = [{"q": query, "limit": 0}]
            command: Json = {"delete": collection, "deletes": deletes, "writeConcern": DURABLE}
            await self._driver.command(tenant.database, command)


def _document(key: str, resource: PackageResource) -> Json:
    return {
        "_id": f"{key}/{resource.file}", "k": key, "t": resource.type, "u": resource.url, "v": resource.version,
        "i": resource.id, "f": resource.file, "raw": resource.raw,
    }  # fmt: skip
