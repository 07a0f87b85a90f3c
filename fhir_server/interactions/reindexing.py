"""Reindexing: what resources are found by is made anew, and nothing else of them changes, not even their version.

A job walks along the keys of each type, some resources at a time, and saves how far it is, so that another worker goes
on where one died. It begins when every write by an older set has ended; see following.py. So what it does not walk over
is written by the new set; and because a write may be slower than anybody thought, it looks at the end once more at what
was written since shortly before it began. https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fhir_server.api.editions import Indexed
from fhir_server.api.errors import Conflict, NotFound
from fhir_server.api.operation import JobProgress
from fhir_server.api.records import Draft, Index
from fhir_server.fhir.json import decode_stored
from fhir_server.interactions.services import Call

Json = dict[str, Any]

STRIDE = 5_000
BATCH = 100
FIRST_BATCH = 20  # nobody knows yet how large they are
BATCH_BYTES = 4 * 1024 * 1024
# Clocks of workers differ, and a write may have been stamped a while before it ended.
MARGIN_MS = 10 * 60_000
MAX_ROUNDS = 100
_YIELD_EVERY = 10


@dataclass(slots=True)
class State:
    """How far a job is: what it indexes by at least, and `is_last` when it looks at late writes."""

    began: int
    generation: int = -1
    type: int = 0
    after: str = ""
    seen: int = 0
    changed: int = 0
    is_last: bool = False


async def reindex(call: Call, given: Json, progress: JobProgress) -> Json:
    """Index all resources of the types in `given` by the parameters in force, and say that they are.

    With a `generation` only those that were indexed by an older one; without, all.
    """
    state = State(**progress.checkpoint) if progress.checkpoint else State(call.services.clock.now())
    await _wait(call, state, progress)
    await call.services.following.ask(call.tenant)
    types: list[str] = given["types"]
    below: int | None = given.get("generation")
    if state.generation < 0:
        state.generation = below or call.edition.generation
    while state.type < len(types) and not state.is_last:
        await _walk(call, types, below, state, progress)
        state.type, state.after = state.type + 1, ""
    state.is_last = True
    for resource_type in types if state.generation else ():
        await _late(call, resource_type, state, progress)
    await call.services.settler.ready(call.tenant, state.generation, frozenset(types))
    counts = [{"name": name, "valueInteger": value} for name, value in _counts(state)]
    return {"resourceType": "Parameters", "parameter": counts}


async def reindex_one(call: Call, key: str) -> Json:
    """Index one resource by the parameters in force and return what that changed. Raises NotFound."""
    found = await call.services.reindexing.read(call.tenant, [key])
    if not found:
        raise NotFound(f"There is no {key}.")
    before, after = _parts(found[0].index), _parts(_draft(call, found[0]).index)
    await _rewritten(call, [key], None)
    rows = [("added", len(after - before)), ("removed", len(before - after))]
    return {"resourceType": "Parameters", "parameter": [{"name": n, "valueInteger": v} for n, v in rows]}


def _counts(state: State) -> tuple[tuple[str, int], ...]:
    return ("resources", state.seen), ("changed", state.changed)


async def _wait(call: Call, state: State, progress: JobProgress) -> None:
    """Wait until whoever has not heard of the parameters in force has ended its writes."""
    end = state.began + int(call.services.following.pace.grace * 1000)
    while (left := end - call.services.clock.now()) > 0:
        await progress.save(asdict(state), "waiting until all workers know the parameters")
        await asyncio.sleep(min(left / 1000, 1.0))


async def _walk(call: Call, types: list[str], below: int | None, state: State, progress: JobProgress) -> None:
    """Go over one type from where the last run of the job came to."""
    resource_type = types[state.type]
    size = FIRST_BATCH
    while keys := await call.services.reindexing.keys(call.tenant, resource_type, state.after, STRIDE):
        while keys:
            some, keys = keys[:size], keys[size:]
            seen, changed, size = await _rewritten(call, some, below)
            state.after, state.seen, state.changed = some[-1], state.seen + seen, state.changed + changed
            done = f"{resource_type}, type {state.type + 1} of {len(types)}: {state.seen} resources"
            await progress.save(asdict(state), f"{done}, {state.changed} changed")


async def _late(call: Call, resource_type: str, state: State, progress: JobProgress) -> None:
    """Go over what was written since shortly before the job began, for what is of an older set all the same."""
    since, after = state.began - MARGIN_MS, ""
    while keys := await call.services.reindexing.keys(call.tenant, resource_type, after, STRIDE, since):
        after = keys[-1]
        while keys:
            some, keys = keys[:FIRST_BATCH], keys[FIRST_BATCH:]
            _, changed, _ = await _rewritten(call, some, state.generation)
            state.changed += changed
        await progress.save(asdict(state), f"{resource_type}: what was written meanwhile")


async def _rewritten(call: Call, keys: Sequence[str], below: int | None) -> tuple[int, int, int]:
    """Rewrite what is not indexed by the parameters in force; return how many were seen and changed, and the next size.

    What another writer changes or has in hand at the same moment is looked at again.
    """
    seen = changed = 0
    size = BATCH
    for attempt in range(MAX_ROUNDS):
        found = await call.services.reindexing.read(call.tenant, keys, below)
        changes = await _changes(call, found)
        if attempt == 0:
            seen, size = len(found), _next_size(found)
        written = await call.services.reindexing.rewrite(call.tenant, changes) if changes else 0
        changed += written
        if written == len(changes):
            return seen, changed, size
        keys = [draft.key for _, draft in changes]
        await asyncio.sleep(0.01 * attempt)
    raise Conflict("Others keep changing the same resources. Try again.")


async def _changes(call: Call, found: Sequence[Indexed]) -> list[tuple[Indexed, Draft]]:
    changes = []
    for place, one in enumerate(found):
        if place % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)  # requests are served in between
        made = _draft(call, one)
        if one.generation <= made.generation and not _is_same(one, made):
            changes.append((one, made))
    return changes


def _draft(call: Call, found: Indexed) -> Draft:
    record, edition = found.record, call.edition
    index = edition.indexer.index(call.tenant, decode_stored(record.raw), call.base_url)
    return Draft(
        record.key, record.version, record.updated, record.raw, record.method, index, generation=edition.generation
    )


def _is_same(found: Indexed, made: Draft) -> bool:
    """Whether rewriting changes nothing; the order of terms means nothing."""
    if found.generation != made.generation or found.index.moment != made.index.moment:
        return False
    return _parts(found.index) == _parts(made.index)


def _parts(index: Index) -> set[int | str]:
    return {*index.terms, *index.ranges, *index.present}


def _next_size(found: Sequence[Indexed]) -> int:
    """Return how many resources like these fit a batch."""
    average = sum(len(one.record.raw) for one in found) // max(len(found), 1) + 1
    return max(1, min(BATCH, BATCH_BYTES // average))
