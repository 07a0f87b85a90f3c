"""The job: fetch the file, read concept after concept, keep them by the thousand, put the whole in force.

What is saved with the job is the key of the load and how many batches it has. A job that is taken up again reads the
file from its beginning, for parents and duplicates are known only then, and keeps what is not kept yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from tempfile import TemporaryFile
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from fhir_server.api import (
    Concepts,
    Issue,
    JobLost,
    JobProgress,
    Json,
    NotSupported,
    OperationContext,
    StoredConcept,
    StoredSystem,
    Unprocessable,
    concepts_of,
    operation_outcome,
)
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.formats import reader
from terminology.loaders.hierarchy import Hierarchy
from terminology.loaders.limits import Sized, within_limits
from terminology.loaders.release import Asked, Release

MAX_NAME = 200  # of a file: what is read from it stands at its end
BATCH = 1_000
BATCH_BYTES = 4 * 1024 * 1024
# How often the job says that it is alive, more often at first, for who is watching; its lease is many times that.
FIRST_SECONDS, BEAT_SECONDS = 0.25, 2.0


async def run(context: OperationContext, given: Json, progress: JobProgress) -> Json:
    """Load a release and return what is now in force, as Parameters.

    Raises the Failure that refuses the release, with file and line of what is wrong. A load that is refused or
    cancelled leaves nothing behind; one whose worker is stopped is there to be taken up again.
    """
    concepts = concepts_of(context.server.library)
    if concepts is None:
        raise NotSupported("This server keeps no concepts of code systems.")
    loading = _Loading(context, concepts, given, progress.checkpoint)
    work = asyncio.create_task(loading.run())
    pause = FIRST_SECONDS
    try:
        while not (await asyncio.wait((work,), timeout=pause))[0]:
            pause = min(2 * pause, BEAT_SECONDS)
            await progress.save(loading.checkpoint, loading.message)
        return work.result()
    except JobLost:
        raise
    except Exception:
        await _stopped(work)
        await loading.abandon()
        raise
    finally:
        await _stopped(work)


async def _stopped(work: asyncio.Task[Json]) -> None:
    work.cancel()
    await asyncio.wait((work,))


class _Loading:
    """One release on its way in."""

    def __init__(self, context: OperationContext, concepts: Concepts, given: Json, checkpoint: Json) -> None:
        self.checkpoint: Json = checkpoint or {"key": "", "batches": 0}
        self.message = "fetching"
        self._context, self._concepts, self._given = context, concepts, given
        self._findings = Findings(lenient=given["lenient"])

    async def run(self) -> Json:
        """Do it all."""
        async with _fetched(self._context, self._given["source"]) as file:
            self.message = "reading"
            release = await asyncio.to_thread(self._read, file)
            found = await self._context.server.validate(release.head)
            wrong = [_located(issue) for issue in found if issue.severity in ("error", "fatal")]
            if wrong:
                raise Unprocessable(issues=wrong)
            system = await self._system(release.head)
            if system.state != "ready":
                await self._keep(system, release)
                system = await self._concepts.finish(system.key, now=self._context.server.now(), progress=self._order)
        return self._told(system)

    async def abandon(self) -> None:
        """Leave nothing of an unfinished load."""
        key = self.checkpoint["key"]
        if any(one.key == key and one.state != "ready" for one in await self._concepts.all()):
            await self._concepts.remove(key)

    def _read(self, file: BinaryIO) -> Release:
        given = self._given
        asked = Asked(
            given["system"], given["version"], given["module"], tuple(given["languages"]), tuple(given["columns"]),
            given["delimiter"], given["encoding"],
        )  # fmt: skip
        name = unquote(urlsplit(given["source"]).path).rpartition("/")[2]
        return reader(given["format"])(Files(file, name[-MAX_NAME:] or "the file"), asked, self._findings)

    async def _system(self, head: Json) -> StoredSystem:
        """Return the load that was begun before, or a new one: an unfinished one of the same version gives way."""
        known = await self._concepts.all()
        for one in known:
            if one.key == self.checkpoint["key"]:
                return one
        for one in known:
            if (one.url, one.version, one.state) == (head["url"], head.get("version", ""), "loading"):
                await self._concepts.remove(one.key)
        by = f"$load of {self._given['format']}"
        system = await self._concepts.begin(head, by=by, now=self._context.server.now())
        self.checkpoint = {"key": system.key, "batches": 0}
        return system

    async def _keep(self, system: StoredSystem, release: Release) -> None:
        """Keep all concepts. Raises Unprocessable with every finding, when all of the file is known."""
        hierarchy = Hierarchy(self._findings)
        stream = within_limits(hierarchy.passing(release.concepts), self._findings)
        number = count = 0
        while batch := await asyncio.to_thread(_next, stream):
            if number >= self.checkpoint["batches"] and not self._findings.refuses:
                await self._concepts.add(system.key, number, batch)
                self.checkpoint = {**self.checkpoint, "batches": number + 1}
            number += 1
            count += len(batch)
            self.message = f"{count} concepts"
        await asyncio.to_thread(hierarchy.close)
        self._findings.close()
        if not count:
            raise Unprocessable("The release has no concepts. What is in force stays so; to remove it, do just that.")

    async def _order(self, done: int, total: int) -> None:
        self.message = f"putting in order: {done} of {total} concepts"

    def _told(self, system: StoredSystem) -> Json:
        rows: list[Json] = [{"name": "url", "valueUri": system.url}]
        if system.version:
            rows.append({"name": "version", "valueString": system.version})
        rows.append({"name": "concepts", "valueInteger": system.count})
        if self._findings.count:
            rows.append({"name": "leftOut", "valueInteger": self._findings.count})
            rows.append({"name": "outcome", "resource": operation_outcome(self._findings.issues)})
        return {"resourceType": "Parameters", "parameter": rows}


def _next(stream: Iterator[Sized]) -> list[StoredConcept]:
    """Return the next batch: a thousand concepts, or fewer where they are large. The same file gives the same ones."""
    batch: list[StoredConcept] = []
    size = 0
    for sized in stream:
        batch.append(sized.concept)
        size += sized.size
        if len(batch) == BATCH or size >= BATCH_BYTES:
            break
    return batch


def _located(issue: Issue) -> Issue:
    """Return an issue of the head whose text says where it is, for the element is nobody's request."""
    return replace(issue, diagnostics=f"{issue.expression}: {issue.diagnostics}")


@asynccontextmanager
async def _fetched(context: OperationContext, url: str) -> AsyncGenerator[BinaryIO, None]:
    """Copy the source to a temporary file: an archive is read from its end."""
    with TemporaryFile() as file:
        async with aclosing(context.server.open_source(url)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)
        yield cast(BinaryIO, file)
