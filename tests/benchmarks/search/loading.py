"""The clinic's patients into the database: the real indexer and the real store, without HTTP and validation.

That is the fastest way in that leaves what the server itself would have left. A database grows from size to size; what
is in it stays, so that the patients who are asked about are the same ones at every size.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_server.api.ports import Writing
from fhir_server.api.records import Draft
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.json import encode
from fhir_server.interactions.drafting import stamp
from fhir_server.search.indexing import Indexer
from fhir_server.store.documents import INDEXES, RESOURCES, to_document
from tests.benchmarks.search.clinic import MOST_EACH, Record, records, size_of

BATCH = 1000
# What a resource was seen to take on the disk, its index, the journal and the room between included; generous.
BYTES_EACH = 12_000
SPARE_MEMORY = 1_000_000_000


@dataclass(slots=True)
class Tally:
    """What has been loaded so far: the answers that searches must give are counted here, not by the server."""

    each: int = MOST_EACH
    patients: int = 0
    resources: int = 0
    data: int = 0
    keys: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)

    def take(self, resource: dict[str, Any], draft: Draft) -> None:
        """Count one resource."""
        self.resources += 1
        self.data += len(draft.raw)
        self.keys += _keys(draft)
        if draft.type == "Observation":
            self.codes[resource["code"]["coding"][0]["code"]] += 1
        elif draft.type == "Patient":
            self.families[resource["name"][0]["family"].lower()] += 1

    def named(self, prefix: str) -> int:
        """Return how many patients have a family name that begins so."""
        return sum(count for family, count in self.families.items() if family.startswith(prefix.lower()))


async def grow(store: Writing, indexer: Indexer, tenant: Tenant, tally: Tally, patients: int) -> float:
    """Add patients until there are so many, and return how many resources a second that was.

    A batch is made while the one before is being written.
    """
    began, there = time.monotonic(), tally.resources
    waiting: asyncio.Task[None] | None = None
    source = (record for number in range(tally.patients, patients) for record in records(number, tally.each))
    for drafts in _batches(source, indexer, tenant, tally):
        if waiting is not None:
            await waiting
        waiting = asyncio.create_task(store.create(drafts))
        await asyncio.sleep(0)  # the driver sends it before the next batch takes this thread
    if waiting is not None:
        await waiting
    tally.patients = patients
    return (tally.resources - there) / (time.monotonic() - began)


def refuse_what_does_not_fit(folder: Path, patients: int, each: int, cache_mb: int) -> None:
    """Raise ValueError when the disk or the memory of this machine would not do."""
    wanted = sum(size_of(number, each) for number in range(patients)) * BYTES_EACH
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise ValueError(f"{patients} patients take about {wanted / 1e9:.0f} GB in {folder}; {free / 1e9:.0f} are free")
    memory, needed = _available_memory(), cache_mb * 1_000_000 + SPARE_MEMORY
    if memory < needed:
        raise ValueError(f"about {needed / 1e9:.1f} GB of memory are needed; {memory / 1e9:.1f} are available")


def _batches(source: Iterator[Record], indexer: Indexer, tenant: Tenant, tally: Tally) -> Iterator[list[Draft]]:
    while some := list(islice(source, BATCH)):
        drafts = [_draft(record, indexer, tenant) for record in some]
        for record, draft in zip(some, drafts, strict=True):
            tally.take(record.resource, draft)
        yield drafts


def _draft(record: Record, indexer: Indexer, tenant: Tenant) -> Draft:
    ident = record.resource["id"]
    stamped = stamp(record.resource, ident, 1, record.written)
    key = f"{record.resource['resourceType']}/{ident}"
    return Draft(key, 1, record.written, encode(stamped), "PUT", indexer.index(tenant, stamped))


def _keys(draft: Draft) -> int:
    """Return how many keys the indexes hold for a document, that of `_id` included."""
    document = to_document(draft)
    arrays = {name: max(len(value), 1) for name, value in document.items() if isinstance(value, list)}
    return 1 + sum(max(arrays.get(name, 1) for name in row["key"]) for row in INDEXES[RESOURCES])


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
