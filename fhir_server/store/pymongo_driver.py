"""MongoDB's own Python driver: slower, and the one to fall back on. https://pymongo.readthedocs.io/"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from fhir_server.store.driver import DatabaseError, Json, Session, commit_failure, ordered, unreachable


class PymongoDriver:
    """Commands over pymongo."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    async def connect(cls, url: str) -> PymongoDriver:
        """Connect lazily: the first command opens the first connection."""
        return cls(AsyncMongoClient(url))

    async def command(self, database: str, command: Json, session: Session | None = None) -> Json:
        """Run one command and return the reply."""
        try:
            reply: Json = await self._client[database].command(command, session=session)
        except ConnectionFailure as error:
            raise unreachable(error) from error
        except PyMongoError as error:
            raise _pymongo_error(error) from error
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
        """Return up to `limit` documents."""
        cursor = self._client[database][collection].find(query, projection, limit=limit, session=session)
        if sort:
            cursor = cursor.sort(list(sort.items()))
        try:
            found: list[Json] = await cursor.batch_size(limit + 1).to_list()
        except ConnectionFailure as error:
            raise unreachable(error) from error
        except PyMongoError as error:
            raise _pymongo_error(error) from error
        return found

    async def aggregate(
        self, database: str, collection: str, pipeline: list[Json], limit: int, session: Session | None = None
    ) -> list[Json]:
        """Return the documents of a pipeline that gives up to `limit`."""
        handle = self._client[database][collection]
        try:
            cursor = await handle.aggregate(pipeline, session=session, batchSize=limit + 1)
            found: list[Json] = await cursor.to_list()
        except ConnectionFailure as error:
            raise unreachable(error) from error
        except PyMongoError as error:
            raise _pymongo_error(error) from error
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
        """Give up to `limit` documents, a reply at a time."""
        handle = self._client[database][collection]
        try:
            if isinstance(query, list):
                steps = ordered(query, projection, limit, sort)
                opened = await handle.aggregate(steps, session=session, batchSize=limit + 1)
            else:
                opened = handle.find(query, projection, limit=limit, session=session, batch_size=limit + 1)
                opened = opened.sort(list(sort.items()))
            async with opened as cursor:
                async for document in cursor:
                    yield document
        except ConnectionFailure as error:
            raise unreachable(error) from error
        except PyMongoError as error:
            raise _pymongo_error(error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Give a session with an open transaction; commit at the end, abort on an exception."""
        async with self._client.start_session() as session:
            await session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority", j=True))
            try:
                yield session
            except BaseException:
                # The server ends it by itself; what matters is the error that brought us here.
                with suppress(PyMongoError):
                    await session.abort_transaction()
                raise
            try:
                await session.commit_transaction()
            except ConnectionFailure as error:
                raise commit_failure(unreachable(error)) from error
            except PyMongoError as error:
                raise commit_failure(_pymongo_error(error)) from error

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.close()


def _pymongo_error(error: Any) -> DatabaseError:
    names = ("TransientTransactionError", "UnknownTransactionCommitResult")
    labels = frozenset(n for n in names if error.has_error_label(n))
    return DatabaseError(str(error), getattr(error, "code", None) or 0, labels)
