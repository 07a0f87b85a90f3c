"""Criteria instead of an id: what they match, and creating only where they match nothing.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from urllib.parse import parse_qsl

from fhir_server.api.criteria import Order
from fhir_server.api.errors import Conflict, Duplicate, InvalidRequest, MultipleMatches
from fhir_server.api.ports import Answer, Reading, TransactionConflict, Writing
from fhir_server.api.records import Draft, Stored
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.services import Call
from fhir_server.search import walking
from fhir_server.search.plan import Plan

MAX_TRIES = 20
Query = Sequence[tuple[str, str]]


def parse_criteria(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a query string; blank values are kept, so that they can be refused by name."""
    return parse_qsl(text.lstrip("?"), keep_blank_values=True)


async def criterion(call: Call, resource_type: str, query: Query) -> Plan:
    """Return what conditional criteria ask for. Unlike a search they must be understood whole."""
    parsed = call.planner.parser.parse(resource_type, query, strict=True)
    if not (parsed.filters or parsed.reverses or parsed.expressions or parsed.lists):
        raise InvalidRequest("A conditional interaction needs search criteria, such as identifier=system|value.")
    return await call.planner.plan(parsed, replace(call.searching(), eager=True))


async def single_match(call: Call, resource_type: str, query: Query) -> str | None:
    """Return the key of the one match, None without any; raises MultipleMatches."""
    found = await matches(call.records, await criterion(call, resource_type, query))
    if len(found) > 1:
        raise MultipleMatches(f"The criteria match more than one {resource_type}; make them more specific.")
    return found[0].key if found else None


async def matches(records: Reading, where: Plan) -> Sequence[Stored]:
    """Return at most two matches: none, one and several are all that conditions tell apart."""
    return (await walking.page(records, where, Order("key", descending=False), 2, None)).records


async def create_unless_matched(
    call: Call, resource_type: str, criteria: str | Query, made: Draft, deleted: Stored | None = None
) -> Answer:
    """Write the draft unless the criteria match: one match is the answer, several raise MultipleMatches.

    `deleted` is the deletion that the draft brings back from. The look and the write are one transaction that also
    claims the criteria; of racing creators one commits and the others look again and find its resource. Raises
    Conflict when a resource that does not match has the draft's id.
    """
    query = parse_criteria(criteria) if isinstance(criteria, str) else criteria
    where = await criterion(call, resource_type, query)
    for attempt in range(MAX_TRIES):
        found = await matches(call.records, where)
        if len(found) > 1:
            raise MultipleMatches(f"The criteria match more than one {resource_type}; make them more specific.")
        if found:
            one = found[0]
            return Answer("ok", one.raw, one.key, one.version, one.updated, f"{one.key}/_history/{one.version}")
        if attempt == 0:
            await check_references(call, made)
        try:
            async with call.services.store.transaction(call.scope) as records:
                await records.reserve(reservation(resource_type, query), made.key, call.services.clock.now())
                beaten = bool(await matches(records, where))
                if not beaten:
                    await _write(records, made, deleted)
        except TransactionConflict:
            beaten = True
        except Duplicate:
            if not await matches(call.records, where):
                raise id_taken(made.key) from None
            beaten = True
        if not beaten:
            return Answer(
                "created", made.raw, made.key, made.version, made.updated, f"{made.key}/_history/{made.version}"
            )
        await asyncio.sleep(0.005 * (attempt + 1))
    raise Conflict("Too many clients create the same resource at once. Try again.")


async def _write(records: Writing, made: Draft, deleted: Stored | None) -> None:
    if deleted is None:
        await records.create([made])
    elif not await records.replace([(made, deleted)]):
        raise Duplicate(f"{made.key} was brought back by another.")


def id_taken(key: str) -> Conflict:
    """Return the refusal of an update that nothing matches and whose id is another resource's.

    R4 leaves it open, R5 says it. https://hl7.org/fhir/R5/http.html#cond-update
    """
    return Conflict(
        f"{key} exists and does not match the criteria; the body must have its match's id, a new one or none."
    )


def reservation(resource_type: str, query: Query) -> str:
    """Return the name of a claim on criteria: the same for the same parameters in any order."""
    text = "\x1f".join([resource_type, *sorted(f"{n}={v}" for n, v in query)])
    return sha256(text.encode()).hexdigest()
