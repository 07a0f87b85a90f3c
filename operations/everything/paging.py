"""A record, or all records, page by page. A page ends anywhere in a record and the next goes on from there.

The cursor names the patient whose record is being read and the last resource shown of it, so that no page skips or
repeats what did not change meanwhile. https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.api import InvalidRequest, OperationContext, Position, Stored
from operations.everything.asked import Asked
from operations.everything.record import NEWEST_FIRST, living, part, position

MAX_VISITED = 100
# Nothing of the record has been shown but the patient.
BEGUN = Position(0, "")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: in whose record, after which resource of it."""

    patient: Position
    after: Position


@dataclass(frozen=True, slots=True)
class Page:
    """The resources of a page, whose they are, and where the next page begins."""

    records: list[Stored]
    patients: list[str]
    next: Mark | None


async def page_of_one(context: OperationContext, asked: Asked, mark: Mark | None, room: int) -> Page:
    """Return the next page of one patient's record."""
    patient = await living(context, context.key)
    records, more = await part(context, asked, patient, mark.after if mark else None, room)
    return Page(records, [patient.key], _mark(patient, records) if more else None)


async def page_of_all(context: OperationContext, asked: Asked, mark: Mark | None, room: int) -> Page:
    """Return the next page of everybody's records, patient by patient.

    A page visits a limited number of patients, so it may have fewer resources than asked for and yet a next one.
    """
    records: list[Stored] = []
    owners: list[str] = []
    if mark is not None:
        patient = await context.records.read(mark.patient.key)
        if patient is not None and not patient.deleted:
            records, more = await part(context, asked, patient, mark.after, room)
            owners.append(patient.key)
            mark = Mark(mark.patient, position(records[-1]) if records else mark.after)
            if more:
                return Page(records, owners, mark)
    everyone = await context.server.criterion("Patient", [])
    page = await context.records.search(everyone, NEWEST_FIRST, MAX_VISITED, mark.patient if mark else None)
    for patient in page.records:
        if len(records) == room:
            return Page(records, owners, mark)
        found, more = await part(context, asked, patient, None, room - len(records))
        records += found
        owners.append(patient.key)
        mark = _mark(patient, found)
        if more:
            return Page(records, owners, mark)
    return Page(records, owners, mark if page.more else None)


def read_cursor(context: OperationContext, asked: Asked) -> Mark | None:
    """Return where the page asked for begins, None at the first. Raises InvalidRequest for a cursor made elsewhere."""
    cursor = dict(context.query).get("_cursor")
    if cursor is None:
        return None
    fields = context.server.unsign(cursor, *_bound_to(context, asked))
    if len(fields) != 4:
        raise InvalidRequest("The page link is not one of $everything.", location="http._cursor")
    born, patient, moment, key = fields
    return Mark(Position(int(born), str(patient)), Position(int(moment), str(key)))


def make_cursor(context: OperationContext, asked: Asked, mark: Mark) -> str:
    """Return the cursor of a mark, good for this record and these parameters only."""
    fields = (mark.patient.value, mark.patient.key, mark.after.value, mark.after.key)
    return context.server.sign(fields, *_bound_to(context, asked))


def _bound_to(context: OperationContext, asked: Asked) -> tuple[str, ...]:
    return ("$everything", context.key, *(text for pair in asked.given for text in pair))


def _mark(patient: Stored, shown: list[Stored]) -> Mark:
    """Return the mark after the last resource shown; the patient's own has no place in the order of the rest."""
    if shown and shown[-1].key != patient.key:
        return Mark(position(patient), position(shown[-1]))
    return Mark(position(patient), BEGUN)
