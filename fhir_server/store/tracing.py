"""A driver that keeps what it was asked and can have the database explain it. Reads only.

https://www.mongodb.com/docs/manual/reference/command/explain/
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import Any

from fhir_server.store.driver import Driver, Json, Session

_READS = ("count", "aggregate", "find")


@dataclass(frozen=True, slots=True)
class Step:
    """One command: what was asked, how many documents came back, and how long it took."""

    database: str
    command: Json
    returned: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Explained:
    """What the database says of a command: the indexes it walked, and what it looked at. None where it does not say."""

    indexes: tuple[str, ...]
    keys: int | None
    documents: int | None
    stages: tuple[str, ...]


@dataclass(slots=True)
class TracingDriver:
    """Passes everything on, and remembers what was read."""

    driver: Driver
    steps: list[Step] = field(default_factory=list)

    async def command(self, database: str, command: Json, session: Session | None = None) -> Json:
        """Run a command."""
        started = time.perf_counter()
        reply = await self.driver.command(database, command, session)
        if next(iter(command)) in _READS:
            rows = reply.get("cursor", {}).get("firstBatch", ())
            self._keep(database, command, int(reply.get("n", len(rows))), started)
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
        """Return documents."""
        started = time.perf_counter()
        found = await self.driver.find(database, collection, query, projection, limit, sort, session)
        asked: Json = {"find": collection, "filter": query, "projection": projection, "limit": limit}
        self._keep(database, {**asked, "sort": sort} if sort else asked, len(found), started)
        return found

    async def aggregate(
        self, database: str, collection: str, pipeline: list[Json], limit: int, session: Session | None = None
    ) -> list[Json]:
        """Return the documents of a pipeline."""
        started = time.perf_counter()
        found = await self.driver.aggregate(database, collection, pipeline, limit, session)
        self._keep(database, {"aggregate": collection, "pipeline": pipeline, "cursor": {}}, len(found), started)
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
        """Yield documents."""
        started = time.perf_counter()
        number = 0
        async with aclosing(
            self.driver.stream(database, collection, query, projection, limit, sort, session)
        ) as documents:
            async for document in documents:
                number += 1
                yield document
        if isinstance(query, list):
            command: Json = {"aggregate": collection, "pipeline": query, "cursor": {}}
        else:
            command = {"find": collection, "filter": query, "sort": sort, "limit": limit}
        self._keep(database, command, number, started)

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Open a transaction."""
        return self.driver.transaction()

    async def close(self) -> None:
        """Drop the connections."""
        await self.driver.close()

    async def explain(self, step: Step) -> Explained:
        """Return what the database says of a step, run once more. Raises DatabaseError where it explains nothing."""
        reply = await self.driver.command(step.database, {"explain": step.command, "verbosity": "executionStats"})
        return _explained(reply)

    def _keep(self, database: str, command: Json, returned: int, started: float) -> None:
        self.steps.append(Step(database, command, returned, (time.perf_counter() - started) * 1000))


def _explained(reply: Json) -> Explained:
    """Return the figures of an explanation, wherever in it they are: a pipeline's are one level deeper."""
    indexes, stages = [], []
    keys = documents = None
    for part in _parts(reply):
        if "indexName" in part:
            indexes.append(str(part["indexName"]))
        if isinstance(part.get("stage"), str):
            stages.append(part["stage"])
        if keys is None and "totalKeysExamined" in part:
            keys, documents = int(part["totalKeysExamined"]), int(part.get("totalDocsExamined", 0))
    return Explained(tuple(dict.fromkeys(indexes)), keys, documents, tuple(dict.fromkeys(stages)))


def _parts(tree: Any) -> Iterator[Json]:
    if isinstance(tree, dict):
        yield tree
        for name, value in tree.items():
            if name not in ("rejectedPlans", "command"):
                yield from _parts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _parts(value)
