"""The stored code systems of the tenants in MongoDB. See api.concepts.

code_systems      _id  the key of a load
                  url, version, head (JSON), count, state, started, finished, by
concepts_KEY      its concepts in order, see concept_blocks
loading_KEY       _id  number of a batch, until the load is finished
                  raw  its concepts as JSON
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterable, Sequence
from uuid import uuid4

import msgspec

from fhir_server.api.concepts import Progress, StoredConcept, StoredSystem
from fhir_server.api.errors import NotFound, TooCostly, Unavailable
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.json import decode_stored, encode
from fhir_server.store.concept_blocks import (
    BLOCK,
    MAX_WORD,
    Json,
    folding,
    pack,
    pieces,
    unpack,
    unpack_one,
    unpack_some,
)
from fhir_server.store.concept_loading import Loading, drop
from fhir_server.store.conformance import MongoConformance
from fhir_server.store.driver import DURABLE, Driver

SYSTEMS = "code_systems"
MAX_SYSTEMS = 10_000
AT_ONCE = 50  # codes in one question
RAW: Json = {"raw": 1}
LAST = "\U0010ffff"


class MongoConceptStore:
    """The stored code systems of all tenants, each in its tenant's database."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def of(self, tenant: Tenant) -> MongoConcepts:
        """Return those of a tenant."""
        return MongoConcepts(self._driver, tenant)


class MongoConcepts:
    """The stored code systems of one tenant."""

    def __init__(self, driver: Driver, tenant: Tenant) -> None:
        self._driver = driver
        self._tenant = tenant
        self._database = tenant.database

    async def begin(self, head: Json, *, by: str, now: int) -> StoredSystem:
        """Begin to load a code system."""
        kept = {k: v for k, v in head.items() if k != "concept"}
        key, version = uuid4().hex[:16], str(head.get("version", ""))
        system = StoredSystem(key, str(head["url"]), version, kept, started=now, by=by)
        await self._run({"createIndexes": SYSTEMS, "indexes": [{"name": "url", "key": {"url": 1, "state": 1}}]})
        await self._run({"create": f"loading_{key}"})
        await self._run({"insert": SYSTEMS, "documents": [_row(system)], "writeConcern": DURABLE})
        return system

    async def add(self, key: str, batch: int, concepts: Sequence[StoredConcept]) -> None:
        """Keep a batch of concepts under its number."""
        await self._loading(key)
        update: Json = {"q": {"_id": batch}, "u": {"raw": await to_thread(pack, concepts)}, "upsert": True}
        await self._run({"update": f"loading_{key}", "updates": [update], "writeConcern": DURABLE})

    async def finish(self, key: str, *, now: int, progress: Progress | None = None) -> StoredSystem:
        """Order and index the concepts and put the system in force."""
        system = await self._loading(key)
        count = await Loading(self._driver, self._database, system, progress).build()
        ready: Json = {"state": "ready", "count": count, "finished": now}
        update: Json = {"q": {"_id": key, "state": "loading"}, "u": {"$set": ready}}
        reply = await self._run({"update": SYSTEMS, "updates": [update], "writeConcern": DURABLE})
        if not reply["n"]:
            await self._drop(key)
            raise _gone(key)
        await drop(self._driver, self._database, f"loading_{key}")
        for other in await self._read({"url": system.url, "version": system.version, "state": "ready"}):
            if other.key != key:
                await self._remove(other.key)
        await self._changed()
        return msgspec.structs.replace(system, state="ready", count=count, finished=now)

    async def remove(self, key: str) -> bool:
        """Remove a code system or a load."""
        is_removed = await self._remove(key)
        await self._changed()
        return is_removed

    async def _remove(self, key: str) -> bool:
        delete: Json = {"q": {"_id": key}, "limit": 1}
        reply = await self._run({"delete": SYSTEMS, "deletes": [delete], "writeConcern": DURABLE})
        await self._drop(key)
        return bool(reply["n"])

    async def all(self) -> list[StoredSystem]:
        """Return every code system."""
        return sorted(await self._read({}), key=lambda s: (s.url, s.version, s.started))

    async def systems(self, url: str) -> Sequence[StoredSystem]:
        """Return the versions of a code system that are ready."""
        found: dict[str, StoredSystem] = {}
        # A load that was just put in force may still have the one it replaces beside it.
        for system in sorted(await self._read({"url": url, "state": "ready"}), key=lambda s: (s.finished, s.key)):
            found[system.version] = system
        return list(found.values())

    async def find(self, system: StoredSystem, codes: Iterable[str]) -> dict[str, StoredConcept]:
        """Return the concepts of these codes."""
        asked = list(dict.fromkeys(codes))
        found: dict[str, StoredConcept] = {}
        for start in range(0, len(asked), AT_ONCE):
            found |= await self._fetch(system, asked[start : start + AT_ONCE])
        if len(found) < len(asked):
            await self._check(system)
        return {code: found[code] for code in asked if code in found}

    async def _fetch(self, system: StoredSystem, codes: Sequence[str]) -> dict[str, StoredConcept]:
        fold = folding(system.is_case_sensitive)
        wanted: dict[str, list[str]] = {}
        for code in codes:
            wanted.setdefault(fold(code), []).append(code)
        rows = await self._blocks(system, {"c": {"$in": list(wanted)}}, len(wanted), {"raw": 1, "c": 1})
        found: dict[str, StoredConcept] = {}
        for row, parts in zip(rows, pieces(row["raw"] for row in rows), strict=True):
            for folded, piece in zip(row["c"], parts, strict=True):
                if folded in wanted:
                    concept = unpack_one(piece)
                    found.update((code, concept) for code in wanted[folded])
        return found

    async def read(self, system: StoredSystem, spans: Iterable[tuple[int, int]]) -> list[StoredConcept]:
        """Return the concepts with these ordinals."""
        wanted = [o for first, last in spans for o in range(first, last + 1)]
        places: dict[int, set[int]] = {}
        for ordinal in wanted:
            places.setdefault(ordinal // BLOCK, set()).add(ordinal % BLOCK)
        rows = await self._numbered(system, sorted(places))
        found: dict[int, StoredConcept] = {}
        for row in rows:
            own = places[int(row["_id"])]
            some = unpack([row["raw"]]) if len(own) > BLOCK // 2 else unpack_some(row["raw"], own)
            found.update((concept.ordinal, concept) for concept in some)
        if len(rows) < len(places):
            raise _replaced(system)
        return [found[ordinal] for ordinal in wanted]

    async def _numbered(self, system: StoredSystem, numbers: Sequence[int]) -> list[Json]:
        """Return blocks: neighbours by a range, others by their numbers."""
        if numbers and numbers[-1] - numbers[0] < 2 * len(numbers):
            query: Json = {"_id": {"$gte": numbers[0], "$lte": numbers[-1]}}
            rows = await self._blocks(system, query, numbers[-1] - numbers[0] + 1)
            known = set(numbers)
            return [row for row in rows if row["_id"] in known]
        found: list[Json] = []
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            found += await self._blocks(system, {"_id": {"$in": list(some)}}, len(some))
        return found

    async def children(self, system: StoredSystem, concept: StoredConcept, limit: int) -> list[StoredConcept]:
        """Return up to `limit` concepts that have this one as a parent."""
        found = await self._concepts(system, {"p": concept.ordinal}, limit)
        return [c for c in found if concept.code in c.parents][:limit]

    async def having(self, system: StoredSystem, keys: Sequence[str], limit: int) -> list[StoredConcept]:
        """Return the concepts with one of these property keys."""
        return await self._some(system, {"k": {"$in": list(keys)}}, limit)

    async def named(self, system: StoredSystem, words: Sequence[str], limit: int) -> list[StoredConcept]:
        """Return the concepts with words that begin so."""
        starts = sorted({word[:MAX_WORD] for word in words}, key=len, reverse=True)
        for start in starts[:-1]:  # the longest is likely the rarest
            try:
                return await self._some(system, _beginning(start), limit)
            except TooCostly:
                continue
        return await self._some(system, _beginning(starts[-1]), limit)

    async def _some(self, system: StoredSystem, query: Json, limit: int) -> list[StoredConcept]:
        blocks = limit // BLOCK
        rows = await self._blocks(system, query, blocks + 1)
        if len(rows) > blocks:
            raise TooCostly(
                f"More than {limit} concepts of {system.url} would have to be looked at: narrow the question."
            )
        if not rows:
            await self._check(system)
        return await _unpacked(rows)

    async def _concepts(self, system: StoredSystem, query: Json, blocks: int) -> list[StoredConcept]:
        return await _unpacked(await self._blocks(system, query, blocks))

    async def _blocks(self, system: StoredSystem, query: Json, limit: int, projection: Json = RAW) -> list[Json]:
        rows = await self._driver.find(self._database, f"concepts_{system.key}", query, projection, limit)
        rows.sort(key=lambda row: int(row["_id"]))
        return rows

    async def _changed(self) -> None:
        """Let every worker forget what validation knew of the tenant's codes."""
        await MongoConformance(self._driver).touch(self._tenant)

    async def _check(self, system: StoredSystem) -> None:
        """Raise Unavailable where nothing was found because the system is no more: another load took its place."""
        if not await self._read({"_id": system.key}):
            raise _replaced(system)

    async def _loading(self, key: str) -> StoredSystem:
        for system in await self._read({"_id": key, "state": "loading"}):
            return system
        raise _gone(key)

    async def _read(self, query: Json) -> list[StoredSystem]:
        rows = await self._driver.find(self._database, SYSTEMS, query, {}, MAX_SYSTEMS)
        return [_system(row) for row in rows]

    async def _drop(self, key: str) -> None:
        for name in ("loading", "concepts"):
            await drop(self._driver, self._database, f"{name}_{key}")

    async def _run(self, command: Json) -> Json:
        return await self._driver.command(self._database, command)


def _beginning(start: str) -> Json:
    return {"w": {"$elemMatch": {"$gte": start, "$lt": start + LAST}}}


async def _unpacked(rows: Sequence[Json]) -> list[StoredConcept]:
    if len(rows) > 100:  # others are served meanwhile
        return await to_thread(unpack, [row["raw"] for row in rows])
    return unpack(row["raw"] for row in rows)


def _row(system: StoredSystem) -> Json:
    row = msgspec.to_builtins(system)
    return {"_id": row.pop("key"), **row, "head": encode(system.head)}


def _system(row: Json) -> StoredSystem:
    head = decode_stored(row["head"])
    counts = (int(row["count"]), row["state"], int(row["started"]), int(row["finished"]), row["by"])
    return StoredSystem(row["_id"], row["url"], row["version"], head, *counts)


def _gone(key: str) -> NotFound:
    return NotFound(f"There is no load {key} under way: it was finished or abandoned.")


def _replaced(system: StoredSystem) -> Unavailable:
    return Unavailable(f"The code system {system.url} was just replaced by another load. Ask again.")
