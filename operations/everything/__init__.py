"""Patient/$everything: the whole compartment of one patient, or of all, in a single Bundle or page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files

from fhir_server.api import Deleted, Operation, OperationContext, Stored, TooCostly
from operations.everything.answer import answer
from operations.everything.asked import Asked, read_asked
from operations.everything.paging import make_cursor, page_of_all, page_of_one, read_cursor
from operations.everything.record import CHUNK, MAX_RESOURCES, NEWEST_FIRST, too_long, whole


async def everything(context: OperationContext) -> bytes:
    """Return the patient, the rest of the compartment newest first, and what these refer to outside of it.

    A record too long for one answer is refused, never cut short: a clinician must not mistake part of a record for
    all of it. With _count any length is served, page by page.
    """
    asked = read_asked(context)
    if asked.count is None:
        records = await whole(context, asked, context.key)
        return await answer(context, asked, records, [context.key], is_complete=not asked.is_narrowed)
    page = await page_of_one(context, asked, read_cursor(context, asked), asked.count)
    cursor = make_cursor(context, asked, page.next) if page.next else ""
    return await answer(context, asked, page.records, page.patients, is_complete=False, cursor=cursor)


async def everything_of_all(context: OperationContext) -> bytes:
    """Return the records of all patients the caller may see, one after the other; the limit holds for the sum."""
    asked = read_asked(context)
    if asked.count is None:
        return await _all_at_once(context, asked)
    page = await page_of_all(context, asked, read_cursor(context, asked), asked.count)
    cursor = make_cursor(context, asked, page.next) if page.next else ""
    return await answer(context, asked, page.records, page.patients, is_complete=False, cursor=cursor)


async def _all_at_once(context: OperationContext, asked: Asked) -> bytes:
    everyone = await context.server.criterion("Patient", [])
    patients = await context.records.search(everyone, NEWEST_FIRST, CHUNK)
    if patients.more:
        raise TooCostly(f"There are more than {CHUNK} patients. Page with _count, or use $export.")
    records: list[Stored] = []
    for patient in patients.records:
        with suppress(Deleted):  # in this moment, by somebody else
            records += await whole(context, asked, patient.key)
        if len(records) > MAX_RESOURCES:
            raise too_long("all patients")
    keys = [patient.key for patient in patients.records]
    return await answer(context, asked, records, keys, is_complete=not asked.is_narrowed)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=everything_of_all, instance=everything)
