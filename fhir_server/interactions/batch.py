"""batch: entries one by one, each with its own answer. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fhir_server.api.errors import Failure, InvalidRequest
from fhir_server.api.ports import Answer
from fhir_server.fhir.bundles import bundle
from fhir_server.interactions.entries import StatusOf, answered, entry_of, failed
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.transaction import transaction

Json = dict[str, Any]
Perform = Callable[[Call, Route], Awaitable[Answer]]

CONCURRENT_READS = 8
MAX_ENTRIES = 20_000


async def batch_or_transaction(call: Call, perform: Perform, status_of: StatusOf) -> Answer:
    """Run the Bundle in the body. `perform` runs one interaction; `status_of` gives the status line of an entry."""
    body = call.request.body
    if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
        raise InvalidRequest("POST to the base URL takes a Bundle of type batch or transaction.", expression="Bundle")
    kind = body.get("type")
    rows = body.get("entry", [])
    if not isinstance(rows, list) or len(rows) > MAX_ENTRIES:
        raise InvalidRequest(f"Bundle.entry must be a list of at most {MAX_ENTRIES}.", expression="Bundle.entry")
    if kind == "transaction":
        return await transaction(call, rows, perform, status_of)
    if kind == "batch":
        return await _batch(call, rows, perform, status_of)
    raise InvalidRequest("Bundle.type must be batch or transaction here.", expression="Bundle.type")


async def _batch(call: Call, rows: list[Any], perform: Perform, status_of: StatusOf) -> Answer:
    """Run the entries. Writes go one after the other, in order; reads in between may overlap."""
    limit = asyncio.Semaphore(CONCURRENT_READS)

    async def one(index: int, row: Any) -> bytes:
        async with limit:
            try:
                entry = entry_of(call, index, row)
                answer = await perform(replace(call, request=entry.request), entry.route)
            except Failure as failure:
                return failed(failure, status_of)
            return answered(answer, entry, status_of, call)

    responses: list[bytes] = []
    reads: list[asyncio.Task[bytes]] = []
    for index, row in enumerate(rows):
        if _is_read(row):
            reads.append(asyncio.create_task(one(index, row)))
            continue
        responses += await asyncio.gather(*reads)
        reads = []
        responses.append(await one(index, row))
    responses += await asyncio.gather(*reads)
    return Answer("ok", bundle("batch-response", responses))


def _is_read(row: Any) -> bool:
    request = row.get("request") if isinstance(row, dict) else None
    return isinstance(request, dict) and request.get("method") in ("GET", "HEAD")
