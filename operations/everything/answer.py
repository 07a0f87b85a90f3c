"""The searchset: the record's resources as match, what they refer to outside of it as include; all stored bytes."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api import Key, Not, OperationContext, Order, Position, Stored, all_of, any_of, bundle, search_entry
from operations.everything.asked import Asked

BATCH = 100
BY_KEY = Order("key", descending=False)


async def answer(
    context: OperationContext,
    asked: Asked,
    records: Sequence[Stored],
    patients: Sequence[str],
    *,
    is_complete: bool,
    cursor: str = "",
) -> bytes:
    """Return the Bundle. `is_complete` says that no part of these patients' records is left out of it."""
    shown = {record.key: record.raw for record in records}
    base = context.server.base_url.encode() + b"/"
    entries = [search_entry(base + key.encode(), raw) for key, raw in shown.items()]
    found = await _referenced(context, asked, shown, patients, is_complete=is_complete)
    entries += [search_entry(base + r.key.encode(), r.raw, b"include") for r in found]
    here = f"{context.server.base_url}/{context.key if context.resource_id else context.resource_type}/$everything"
    links = [("self", here + asked.query())]
    if cursor:
        links.append(("next", here + asked.query(cursor)))
    total = len(shown) if asked.count is None else None
    return bundle("searchset", entries, links=links, total=total)


async def _referenced(
    context: OperationContext, asked: Asked, shown: dict[str, bytes], patients: Sequence[str], *, is_complete: bool
) -> list[Stored]:
    """Return the resources the shown ones refer to that are in nobody's record: practitioners, organizations ...

    What belongs to these patients and is not shown was not asked for, or is on another page; what names any other
    patient is none of this record's business.
    """
    references = context.server.references_of(b"\n".join(shown.values()))
    keys = sorted(k for k in references if k not in shown and asked.wants_type(k.partition("/")[0]))
    owners = set(patients)
    found: list[Stored] = []
    if is_complete:
        by_key = await context.records.read_many(keys) if keys else {}
        found = [by_key[k] for k in keys if k in by_key and not by_key[k].deleted]
    else:
        elsewhere = Not(any_of(*(asked.compartment(p.partition("/")[2]) for p in patients)))
        for start in range(0, len(keys), BATCH):
            where = all_of(Key(tuple(keys[start : start + BATCH])), elsewhere)
            page = await context.records.search(where, BY_KEY, BATCH)
            found += page.records
            while page.more:  # a page of large resources ends early
                page = await context.records.search(where, BY_KEY, BATCH, Position(0, page.records[-1].key))
                found += page.records
    return [r for r in found if r.type != "Patient" and _names_only(context, r, owners)]


def _names_only(context: OperationContext, record: Stored, owners: set[str]) -> bool:
    """Whether the patients a resource refers to are all among the owners of the record."""
    if b"Patient/" not in record.raw:
        return True
    return all(k in owners for k in context.server.references_of(record.raw) if k.startswith("Patient/"))
