"""The records of one scope in MongoDB: reads, searches and writes, in a transaction or one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

from fhir_server.api.criteria import Criterion, Everything, HistoryOf, Key, Order, Position
from fhir_server.api.errors import Duplicate
from fhir_server.api.ports import TransactionConflict
from fhir_server.api.records import Draft, Outline, Page, Stored
from fhir_server.api.tenant import Scope
from fhir_server.store.coalesce import Coalescer
from fhir_server.store.documents import (
    HISTORY,
    HISTORY_PROJECTION,
    PROJECTION,
    REPLACEABLE,
    RESERVATIONS,
    RESOURCES,
    Json,
    to_document,
    to_history,
    to_stored,
)
from fhir_server.store.driver import DUPLICATE_KEY, DURABLE, DatabaseError, Driver, Session
from fhir_server.store.filters import guarded, live
from fhir_server.store.history import read_history
from fhir_server.store.pages import Pages, page_of
from fhir_server.store.windows import Windows

MAX_IN = 500
# So many are asked for by key in one command with what others read at the moment; more have a command of their own.
FEW_KEYS = 32
INSERT_BATCH = 1000
REPLACE_BATCH = 500
# A command is a document, and no document has more than 16 MB; a driver that sends documents apart may send more.
# https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size
COMMAND_BYTES = 12 * 1024 * 1024


class Records:
    """One scope's records. With a session every call belongs to its transaction."""

    def __init__(
        self,
        driver: Driver,
        scope: Scope,
        coalescer: Coalescer,
        session: Session | None = None,
        windows: Windows | None = None,
    ) -> None:
        self._driver = driver
        self._scope = scope
        self._coalescer = coalescer
        self._session = session
        self._windows = windows

    async def read(self, key: str) -> Stored | None:
        """Return the current version (maybe a deleted one), or None where there is none to be seen."""
        if self._session is not None:
            return (await self._fetch([key], PROJECTION)).get(key)
        return await self._coalesced(key)

    async def read_many(self, keys: Sequence[str]) -> dict[str, Stored]:
        """Return the current versions that exist, by key; a few share a command with other reads under way."""
        if self._session is not None or len(keys) > FEW_KEYS:
            return await self._fetch(keys, PROJECTION)
        futures = [(key, self._coalesced(key)) for key in dict.fromkeys(keys)]
        found = [(key, await future) for key, future in futures]
        return {key: record for key, record in found if record is not None}

    def _coalesced(self, key: str) -> asyncio.Future[Stored | None]:
        group = (self._scope.tenant.database, self._scope.access.predicate)
        return self._coalescer.read(group, self._fetch_plain, key)

    async def current(self, keys: Sequence[str]) -> dict[str, Stored]:
        """Return the current versions with all that `replace` needs."""
        return await self._fetch(keys, REPLACEABLE)

    async def vread(self, key: str, version: int) -> Stored | None:
        """Return one version, current or superseded."""
        current = await self.read(key)
        if current is not None and current.version == version:
            return current
        where = {"$and": [{"r": key, "v": version}, self._seen()]}
        found = await self._find(HISTORY, where, HISTORY_PROJECTION, 1)
        return to_stored(found[0]) if found else None

    async def search(self, where: Criterion, order: Order, limit: int, after: Position | None = None) -> Page:
        """Return the next `limit` live resources in order after a position."""
        if isinstance(where, Key) and len(where.any_of) <= FEW_KEYS and self._session is None:
            found = await self.read_many(where.any_of)
            return page_of([r for r in found.values() if not r.deleted], order, limit, after)
        return await self._pages().page(live(self._scope, where), order, limit, after)

    async def outlines(
        self, where: Criterion, limit: int, *, terms: bool = False, ranges: bool = False
    ) -> list[Outline]:
        """Return up to `limit` live resources without their bytes, in no order."""
        return await self._pages().outlines(live(self._scope, where), limit, terms=terms, ranges=ranges)

    async def count(self, where: Criterion, cap: int = 0) -> int:
        """Count live resources; with a cap, count no further than that."""
        return await self._pages().count(live(self._scope, where), cap, in_transaction=self._session is not None)

    def _pages(self) -> Pages:
        return Pages(
            self._find, self._aggregate, self._stream, self._command, self._windows, self._scope.tenant.database
        )

    async def history(self, of: HistoryOf, limit: int, after: Position | None = None) -> Page:
        """Return the next `limit` versions, newest first."""
        return await read_history(self._find, self._seen(), of, limit, after)

    async def create(self, drafts: Sequence[Draft]) -> None:
        """Insert records that were never there; raises Duplicate.

        Single creates that arrive together share one command, and so one flush to the disk.
        """
        if len(drafts) == 1 and self._session is None:
            await self._coalescer.insert(self._scope.tenant.database, self._insert, to_document(drafts[0]))
            return
        errors = [e for e in await self._insert([to_document(d) for d in drafts]) if e is not None]
        if errors:
            raise next((e for e in errors if isinstance(e, Duplicate)), errors[0])

    async def _insert(self, documents: Sequence[Json]) -> list[Exception | None]:
        """Insert documents and return for each what was wrong with it."""
        outcome: list[Exception | None] = []
        for batch in command_sized(documents):
            reply = await self._write({"insert": RESOURCES, "documents": batch, "ordered": False})
            errors = {e["index"]: _write_error(e) for e in reply.get("writeErrors", ())}
            outcome += [errors.get(place) for place in range(len(batch))]
        return outcome

    async def replace(self, changes: Sequence[tuple[Draft, Stored]]) -> bool:
        """Write drafts over the versions they were made from; False when one is no longer current.

        The old version is in the history before it is overwritten, so that a crash in between loses nothing; history
        entries are keyed by version, so that trying again doubles nothing.
        """
        whole = True
        for start in range(0, len(changes), REPLACE_BATCH):
            whole = await self._replace_batch(changes[start : start + REPLACE_BATCH]) and whole
        return whole

    async def _replace_batch(self, changes: Sequence[tuple[Draft, Stored]]) -> bool:
        superseded = [to_history(previous, draft.updated) for draft, previous in changes]
        for batch in command_sized(superseded):
            kept = [{"q": {"_id": h["_id"]}, "u": h, "upsert": True} for h in batch]
            _refuse_write_errors(await self._write({"update": HISTORY, "updates": kept, "ordered": False}))
        versions = {draft.key: previous.version for draft, previous in changes}
        replaced = 0
        for batch in command_sized([to_document(draft) for draft, _ in changes]):
            written = [{"q": {"_id": d["_id"], "v": versions[d["_id"]]}, "u": d} for d in batch]
            reply = await self._write({"update": RESOURCES, "updates": written, "ordered": False})
            _refuse_write_errors(reply)
            replaced += int(reply["n"])
        return replaced == len(changes)

    async def reserve(self, reservation: str, key: str, now: int) -> None:
        """Claim a conditional create's criteria; raises TransactionConflict when another claims them at the same time.

        A claim that can be seen was committed with its resource, which the same transaction's search sees too; if it
        does not match any more, the claim is taken over. Claims under way meet in a write conflict or a duplicate. A
        TTL index sweeps old ones. https://www.mongodb.com/docs/manual/core/index-ttl/
        """
        claim: Json = {"at": _bson_date(now), "key": key}
        taken = await self._write(
            {"update": RESERVATIONS, "updates": [{"q": {"_id": reservation}, "u": {"$set": claim}}]}
        )
        if taken["n"]:
            return
        try:
            reply = await self._write({"insert": RESERVATIONS, "documents": [{"_id": reservation, **claim}]})
            _refuse_write_errors(reply)
        except Duplicate:
            raise TransactionConflict from None

    async def _fetch_plain(self, keys: Sequence[str]) -> dict[str, Stored]:
        return await self._fetch(keys, PROJECTION)

    async def _fetch(self, keys: Sequence[str], projection: Json) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        for start in range(0, len(keys), MAX_IN):
            wanted = list(dict.fromkeys(keys[start : start + MAX_IN]))
            for document in await self._find(
                RESOURCES, guarded(self._scope, Key(tuple(wanted))), projection, len(wanted)
            ):
                found[document["_id"]] = to_stored(document)
        return found

    async def _find(
        self, collection: str, query: Json, projection: Json, limit: int, sort: Json | None = None
    ) -> list[Json]:
        """Return up to `limit` documents."""
        database = self._scope.tenant.database
        try:
            return await self._driver.find(database, collection, query, projection, limit, sort, self._session)
        except DatabaseError as error:
            raise self._as_failure(error) from error

    async def _aggregate(self, pipeline: list[Json], limit: int) -> list[Json]:
        """Return up to `limit` documents of a pipeline on the resources."""
        database = self._scope.tenant.database
        try:
            return await self._driver.aggregate(database, RESOURCES, pipeline, limit, self._session)
        except DatabaseError as error:
            raise self._as_failure(error) from error

    async def _stream(
        self, query: Json | list[Json], projection: Json, limit: int, sort: Json
    ) -> AsyncGenerator[Json, None]:
        """Give up to `limit` of the resources in order, as many as are taken."""
        database, session = self._scope.tenant.database, self._session
        given = self._driver.stream(database, RESOURCES, query, projection, limit, sort, session)
        try:
            async with aclosing(given) as documents:
                async for document in documents:
                    yield document
        except DatabaseError as error:
            raise self._as_failure(error) from error

    def _seen(self) -> Json:
        return guarded(self._scope, Everything())

    async def _command(self, command: Json) -> Json:
        try:
            return await self._driver.command(self._scope.tenant.database, command, self._session)
        except DatabaseError as error:
            raise self._as_failure(error) from error

    def _as_failure(self, error: DatabaseError) -> Exception:
        """Return what a refused command means here: to try the transaction again, a duplicate, or just the error."""
        if error.transient and self._session is not None:
            return TransactionConflict()
        return Duplicate("A resource with this id exists.") if error.code == DUPLICATE_KEY else error

    async def _write(self, command: Json) -> Json:
        if self._session is None:
            command["writeConcern"] = DURABLE
        return await self._command(command)


def command_sized(documents: Sequence[Json]) -> Iterator[list[Json]]:
    """Yield batches that fit into a command, whatever their documents weigh; a large one is a batch by itself."""
    batch: list[Json] = []
    size = 0
    for document in documents:
        weight = _weight(document)
        if batch and (len(batch) == INSERT_BATCH or size + weight > COMMAND_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += weight
    if batch:
        yield batch


def _weight(document: Json) -> int:
    """Return about how many bytes a document has in a command: the resource, and what it is found by."""
    ranges = document.get("s", ())
    found_by = 16 * len(document.get("t", ())) + sum(map(len, ranges)) + 16 * len(ranges)
    return len(document.get("raw", b"")) + found_by + 512


def _refuse_write_errors(reply: Json) -> None:
    errors = [_write_error(e) for e in reply.get("writeErrors", ())]
    if errors:
        raise next((e for e in errors if isinstance(e, Duplicate)), errors[0])


def _write_error(error: Json) -> Exception:
    if error["code"] == DUPLICATE_KEY:
        return Duplicate("A resource with this id exists.")
    return DatabaseError(str(error.get("errmsg")), error["code"])


def _bson_date(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@asynccontextmanager
async def transaction(
    driver: Driver, scope: Scope, coalescer: Coalescer, windows: Windows | None = None
) -> AsyncIterator[Records]:
    """Open a transaction on a scope's records; raises TransactionConflict when it is to be tried again."""
    try:
        async with driver.transaction() as session:
            yield Records(driver, scope, coalescer, session, windows)
    except DatabaseError as error:
        if error.transient:
            raise TransactionConflict from error
        raise
