"""The official Rust driver under asyncio: a third of pymongo's client CPU a command. https://pypi.org/project/mongojet/"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import bson
import mongojet

from fhir_server.api.errors import Unavailable
from fhir_server.store.driver import DatabaseError, Json, Session, commit_failure, ordered, unreachable


class MongojetDriver:
    """Commands over mongojet. The client is not typed beyond its own package, nor its errors beyond their text."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._databases: dict[str, Any] = {}
        self._collections: dict[tuple[str, str], Any] = {}

    @classmethod
    async def connect(cls, url: str) -> MongojetDriver:
        """Connect lazily: the first command opens the first connection."""
        return cls(await mongojet.create_client(url))

    async def command(self, database: str, command: Json, session: Session | None = None) -> Json:
        """Run one command and return the reply."""
        handle = self._databases.get(database)
        if handle is None:
            handle = self._databases[database] = self._client.get_database(database)
        try:
            reply: Json = await handle.run_command(command, session=session)
        except mongojet.ConnectionFailure as error:
            raise unreachable(error) from error
        except mongojet.PyMongoError as error:
            raise _mongojet_error(error) from error
        return reply

    async def find(
        self,
        database: str,
        collection: str,
        query: Json,
        projection: Json,
        limit: int,
        sort: Json | None = None,
        session: Session | None = None,
    ) -> list[Json]:
        """Return up to `limit` documents.

        They cross from the driver as one piece of BSON: half the cost of a command's reply, which it reads twice.
        """
        handle = self._collections.get((database, collection))
        if handle is None:
            made = self._client.get_database(database).get_collection(collection)
            handle = self._collections[database, collection] = made._core_collection
        options: Json = {"projection": projection, "limit": limit, "batchSize": limit + 1}
        if sort:
            options["sort"] = sort
        asked, how = bson.encode(query), bson.encode(options)
        try:
            if session is None:
                raw = await handle.find_many(asked, how)
            else:
                raw = await handle.find_many_with_session(cast(Any, session).core_session, asked, how)
        except mongojet.PyMongoError as error:
            raise _mongojet_error(error) from error
        return list(bson.decode(raw).values())

    async def aggregate(
        self, database: str, collection: str, pipeline: list[Json], limit: int, session: Session | None = None
    ) -> list[Json]:
        """Return the documents of a pipeline that gives up to `limit`."""
        handle = self._client.get_database(database).get_collection(collection)
        try:
            cursor = await handle.aggregate(pipeline, cast(Any, session), batchSize=limit + 1)
            found: list[Json] = await cursor.to_list()
        except mongojet.PyMongoError as error:
            raise _mongojet_error(error) from error
        return found

    async def stream(
        self,
        database: str,
        collection: str,
        query: Json | list[Json],
        projection: Json,
        limit: int,
        sort: Json,
        session: Session | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Give up to `limit` documents, a reply at a time; the cursor ends when it is let go."""
        handle = self._client.get_database(database).get_collection(collection)
        options: Json = {"projection": projection, "limit": limit, "sort": sort, "batchSize": limit + 1}
        try:
            if isinstance(query, list):
                steps = ordered(query, projection, limit, sort)
                cursor = await handle.aggregate(steps, cast(Any, session), batchSize=limit + 1)
            else:
                cursor = await handle.find(query, cast(Any, session), **options)
            async for document in cursor:
                yield document
        except mongojet.PyMongoError as error:
            raise _mongojet_error(error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Give a session with an open transaction; commit at the end, abort on an exception."""
        try:
            session = await self._client.start_session()
            await session.start_transaction(
                read_concern={"level": "snapshot"}, write_concern={"w": "majority", "journal": True}
            )
        except mongojet.PyMongoError as error:
            raise _mongojet_error(error) from error
        try:
            yield session
        except BaseException:
            # The server ends it by itself; what matters is the error that brought us here.
            with suppress(mongojet.PyMongoError):
                await session.abort_transaction()
            raise
        try:
            await session.commit_transaction()
        except mongojet.PyMongoError as error:
            raise commit_failure(_mongojet_error(error)) from error

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.close()


_CODE = re.compile(r"Error code (\d+)|code: (\d+)")
_LABELS = re.compile(r"labels: \{([^}]*)\}")


def _mongojet_error(error: Exception) -> DatabaseError | Unavailable:
    """Read code and labels out of the text, which is all that mongojet gives."""
    if isinstance(error, mongojet.ConnectionFailure):
        return unreachable(error)
    text = str(error)
    found = _CODE.search(text)
    if found is None and ("I/O error" in text or "Io(" in text or "onnection" in text):
        return unreachable(error)
    labels = _LABELS.search(text)
    names = frozenset(re.findall(r'"(\w+)"', labels[1])) if labels else frozenset[str]()
    return DatabaseError(text.partition(", server response:")[0], int(found[1] or found[2]) if found else 0, names)
