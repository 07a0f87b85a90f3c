"""One patient's record read in order: the patient first, then the compartment, newest first, ties by key."""

from __future__ import annotations

from fhir_server.api import Deleted, NotFound, OperationContext, Order, Position, Stored, TooCostly
from operations.everything.asked import Asked

MAX_RESOURCES = 10_000
MAX_BYTES = 256 * 1024 * 1024
CHUNK = 1_000
NEWEST_FIRST = Order("moment", descending=True)


async def whole(context: OperationContext, asked: Asked, key: str) -> list[Stored]:
    """Return all that is asked for of one patient's record.

    The patient is usually among the first results, which saves reading it by itself. Raises NotFound and Deleted for
    the patient, TooCostly for a record longer than one answer may be.
    """
    where = asked.where(key.partition("/")[2])
    page = await context.records.search(where, NEWEST_FIRST, CHUNK)
    patient = next((r for r in page.records if r.key == key), None) or await living(context, key)
    found = [patient] if asked.wants_patient(patient) else []
    found += [r for r in page.records if r.key != key]
    if page.more and await context.records.count(where, MAX_RESOURCES + 1) > MAX_RESOURCES:
        raise too_long(key)
    while page.more:
        page = await context.records.search(where, NEWEST_FIRST, CHUNK, position(page.records[-1]))
        found += [r for r in page.records if r.key != key]
        if sum(len(r.raw) for r in found) > MAX_BYTES:
            raise too_long(key)
    return found


async def part(
    context: OperationContext, asked: Asked, patient: Stored, after: Position | None, room: int
) -> tuple[list[Stored], bool]:
    """Return up to `room` resources of a record and whether more follow; without a position from its beginning on."""
    found = [patient] if after is None and asked.wants_patient(patient) else []
    beyond = after if after is not None and after.key else None
    missing = room - len(found)
    page = await context.records.search(asked.where(patient.id), NEWEST_FIRST, missing + 1, beyond)
    others = [r for r in page.records if r.key != patient.key]
    return found + others[:missing], page.more or len(others) > missing


async def living(context: OperationContext, key: str) -> Stored:
    """Return a patient; raises NotFound where there is none to be seen, Deleted where there was."""
    patient = await context.records.read(key)
    if patient is None:
        raise NotFound(f"There is no {key}.")
    if patient.deleted:
        raise Deleted(f"{key} was deleted.", version=patient.version)
    return patient


def position(record: Stored) -> Position:
    """Return the place of a resource in the order."""
    return Position(record.moment, record.key)


def too_long(whose: str) -> TooCostly:
    """Return the refusal of an answer that would be too long, with the ways out."""
    return TooCostly(
        f"The record of {whose} has more than {MAX_RESOURCES} resources or {MAX_BYTES >> 20} MB. "
        "Page with _count, narrow it with start, end, _since or _type, or use $export."
    )
