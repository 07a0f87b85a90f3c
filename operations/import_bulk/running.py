"""The job: file after file, some hundred lines at a time, each time saying how far it is.

What is saved with the job is all that another worker needs to go on: the file, the byte in it, counts and the errors
not yet put into a file of their own. Lines written after the last save are written again, which changes nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from fhir_server.api import (
    Failure,
    InvalidRequest,
    Issue,
    JobProgress,
    Json,
    JsonError,
    OperationContext,
    Unavailable,
    decode,
    encode,
    operation_outcome,
)
from operations.import_bulk.lines import MAX_LINE, Line, lines

BATCH_LINES = 500
BATCH_BYTES = 8 * 1024 * 1024
ERRORS_IN_FILE = 1_000
MAX_ERRORS = 10_000
NDJSON = "application/fhir+ndjson"


@dataclass(slots=True)
class State:
    """How far the job is."""

    time: str
    input: int = 0
    offset: int = 0
    line: int = 0
    count: int = 0
    refused: int = 0
    pending: list[Json] = field(default_factory=list)
    output: list[Json] = field(default_factory=list)
    error: list[Json] = field(default_factory=list)


async def run(context: OperationContext, given: Json, progress: JobProgress) -> Json:
    """Import the files and return the manifest of what came of them.

    A line that is wrong is an error in the manifest's error files and stops nothing; a source that fails, or has too
    many such lines, ends that file only.
    """
    state = State(**progress.checkpoint) if progress.checkpoint else State(_instant(context.server.now()))
    inputs: list[Json] = given["inputs"]
    while state.input < len(inputs):
        await _File(context, progress, state, inputs).run()
    manifest: Json = {"transactionTime": state.time, "request": given["request"]}
    return {**manifest, "output": state.output, "error": state.error}


class _File:
    """One file on its way in."""

    def __init__(self, context: OperationContext, progress: JobProgress, state: State, inputs: list[Json]) -> None:
        self._context = context
        self._progress = progress
        self._state = state
        self._of = len(inputs)
        self._type: str = inputs[state.input]["type"]
        self._url: str = inputs[state.input]["url"]
        self._batch: list[tuple[Line, Json]] = []
        self._size = 0

    async def run(self) -> None:
        """Import what is left of the file."""
        try:
            await self._read()
        except _SourceFailed as failed:
            await self._write()
            for issue in failed.issues:
                self._refuse(replace(issue, severity="fatal"))
        await self._end()

    async def _read(self) -> None:
        state = self._state
        async with aclosing(self._chunks()) as chunks:
            async for line in lines(chunks, offset=state.offset, number=state.line):
                self._take(line)
                if len(self._batch) >= BATCH_LINES or self._size >= BATCH_BYTES:
                    await self._write()
                    await self._save(line)
                if state.refused >= MAX_ERRORS:
                    text = f"{MAX_ERRORS} lines were refused; the rest of the file was not read."
                    self._refuse(Issue("too-costly", text, severity="fatal"))
                    break
        await self._write()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the file's bytes; a failure of the source is told from one of the database."""
        try:
            async with aclosing(self._context.server.open_source(self._url)) as source:
                async for chunk in source:
                    yield chunk
        except (InvalidRequest, Unavailable) as failure:
            raise _SourceFailed(failure) from failure

    def _take(self, line: Line) -> None:
        """Put a line's resource into the batch, or its error to the others."""
        self._size += len(line.raw or b"")
        if line.raw is None:
            return self._refuse(Issue("too-long", f"The line has more than {MAX_LINE} bytes."), line)
        try:
            resource = decode(line.raw)
        except JsonError as error:
            return self._refuse(Issue("structure", f"This is no JSON: {error}."), line)
        if not isinstance(resource, dict) or resource.get("resourceType") != self._type:
            return self._refuse(Issue("invalid", f"This is no {self._type}, which the file shall have."), line)
        self._batch.append((line, resource))
        return None

    async def _write(self) -> None:
        """Write the batch and the errors that fill a file."""
        batch, self._batch, self._size = self._batch, [], 0
        issues = await self._context.server.put_all([resource for _, resource in batch]) if batch else []
        for (line, _), issue in zip(batch, issues, strict=True):
            if issue is None:
                self._state.count += 1
            else:
                self._refuse(issue, line)
        if len(self._state.pending) >= ERRORS_IN_FILE:
            await self._write_errors()

    def _refuse(self, issue: Issue, line: Line | None = None) -> None:
        placed = replace(issue, location=f"line {line.number}") if line is not None else issue
        self._state.pending.append(operation_outcome([placed]))
        self._state.refused += 1

    async def _write_errors(self) -> None:
        """Put the errors so far into a Binary of their own."""
        state = self._state
        content = b"".join(encode(outcome) + b"\n" for outcome in state.pending)
        data = b64encode(content).decode()
        binary: Json = {"resourceType": "Binary", "id": self._context.server.new_id(), "contentType": NDJSON}
        (refused,) = await self._context.server.put_all([{**binary, "data": data}])
        if refused is not None:
            raise Unavailable(f"The errors of {self._url} cannot be kept: {refused.diagnostics}")
        url = f"{self._context.server.base_url}/Binary/{binary['id']}"
        row = {"type": "OperationOutcome", "inputUrl": self._url, "count": len(state.pending), "url": url}
        state.error.append(row)
        state.pending = []

    async def _save(self, line: Line) -> None:
        self._state.offset, self._state.line = line.end, line.number
        done = f"file {self._state.input + 1} of {self._of}, line {line.number}"
        await self._progress.save(asdict(self._state), f"{done}: {self._state.count} resources")

    async def _end(self) -> None:
        """Close the file's account and go on to the next."""
        state = self._state
        if state.pending:
            await self._write_errors()
        state.output.append({"type": self._type, "inputUrl": self._url, "count": state.count})
        state.input += 1
        state.offset = state.line = state.count = state.refused = 0
        await self._progress.save(asdict(state), f"{state.input} of {self._of} files")


class _SourceFailed(Exception):
    """The file could not be read to its end."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.issues = failure.issues


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
