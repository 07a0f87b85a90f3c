"""The narrow door to the database: commands in, replies out, over mongojet or pymongo.

https://www.mongodb.com/docs/manual/reference/command/. A command is a plain dict and a reply is the server's own
document, so both drivers look the same from here, and what is sent is what the manual describes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from fhir_server.api.errors import Unavailable

Json = dict[str, Any]

DURABLE: Json = {"w": "majority", "j": True}
DUPLICATE_KEY = 11000
NAMESPACE_NOT_FOUND = 26
NAMESPACE_EXISTS = 48
WRITE_CONFLICT = 112
NO_SUCH_TRANSACTION = 251


class DatabaseError(Exception):
    """The server refused a command: its error code and labels."""

    def __init__(self, message: str, code: int = 0, labels: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.code = code
        self.labels = labels

    @property
    def transient(self) -> bool:
        """Whether the whole transaction may simply be tried again."""
        return "TransientTransactionError" in self.labels or self.code in (WRITE_CONFLICT, NO_SUCH_TRANSACTION)


class Session(Protocol):
    """An open transaction of a driver."""


class Driver(Protocol):
    """A connected client. Raises DatabaseError for what the server refuses, Unavailable when it cannot be reached."""

    async def command(self, database: str, command: Json, session: Session | None = None) -> Json:
        """Run one command and return the reply."""
        ...

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
        """Return up to `limit` documents, in as many replies as they need."""
        ...

    async def aggregate(
        self, database: str, collection: str, pipeline: list[Json], limit: int, session: Session | None = None
    ) -> list[Json]:
        """Return the documents of a pipeline that gives up to `limit`, in as many replies as they need."""
        ...

    def stream(
        self,
        database: str,
        collection: str,
        query: Json | list[Json],
        projection: Json,
        limit: int,
        sort: Json,
        session: Session | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Give up to `limit` documents in order, a reply (16 MB) at a time; close it to stop. A list is a pipeline."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Return an async context manager that gives a Session and commits it."""
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


def ordered(stages: list[Json], projection: Json, limit: int, sort: Json) -> list[Json]:
    """Return the pipeline of the first documents in an order."""
    return [*stages, {"$sort": sort}, {"$limit": limit}, {"$project": projection}]


def commit_failure(error: DatabaseError | Unavailable) -> DatabaseError | Unavailable:
    """Return the failure of a commit, never transient where it may have happened: a second try would do it twice.

    Drivers send a commit again when the connection breaks. A server that was started anew in between may no longer
    know the transaction (NoSuchTransaction), whether it was committed or not.
    https://www.mongodb.com/docs/manual/core/transactions-in-applications/
    """
    if isinstance(error, DatabaseError):
        is_open = "UnknownTransactionCommitResult" in error.labels or error.code == NO_SUCH_TRANSACTION
        if not is_open:
            return error
    return Unavailable("The database went away during the commit. Look whether it was written before you try again.")


def unreachable(error: Exception) -> Unavailable:
    """Return the failure for a connection that is not there."""
    return Unavailable(f"The database does not answer ({type(error).__name__}). Try again shortly.")
