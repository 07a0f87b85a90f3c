"""Reading what a plan selects: pages in order, tested where the index does not say all, and counts.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fhir_server.api.criteria import Order, Position
from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Page, Stored
from fhir_server.search.linking import passing
from fhir_server.search.plan import Plan

# How many resources are looked at for one page before the search is refused.
MAX_LOOKED_AT = 20_000
_LARGEST_BATCH = 2_000


class Exhausted(TooCostly):
    """Too many resources had to be looked at for the few that match."""

    def __init__(self) -> None:
        super().__init__(
            f"After {MAX_LOOKED_AT} resources this search has not found a page of matches. "
            "Narrow it by a parameter that the index answers, such as patient, code or a date."
        )


async def page(records: Reading, plan: Plan, order: Order, size: int, after: Position | None) -> Page:
    """Return the next `size` matches after a position. Raises Exhausted when they are too few and far between."""
    if plan.test is None:
        return await records.search(plan.where, order, size, after)
    kept: list[Stored] = []
    looked_at, batch = 0, size + 1
    while True:
        some = await records.search(plan.where, order, batch, after)
        kept += await passing(plan, some.records)
        if len(kept) > size:
            return Page(tuple(kept[:size]), more=True)
        if not some.more or not some.records:
            return Page(tuple(kept))
        looked_at += len(some.records)
        if looked_at > MAX_LOOKED_AT:
            raise Exhausted
        after = position(some.records[-1], order)
        batch = min(2 * batch, _LARGEST_BATCH)


async def count(records: Reading, plan: Plan, cap: int = 0) -> int:
    """Return how many match; with a cap, count no further. Raises Exhausted where each has to be looked at."""
    if plan.test is None:
        return await records.count(plan.where, cap)
    number = 0
    async with aclosing(_batches(records, plan)) as batches:
        async for some in batches:
            number += len(some)
            if cap and number >= cap:
                return cap
    return number


async def all_of_plan(records: Reading, plan: Plan, limit: int) -> list[Stored]:
    """Return every match, up to `limit` and in no order. Raises Exhausted."""
    found: list[Stored] = []
    async with aclosing(_batches(records, plan)) as batches:
        async for some in batches:
            found += some
            if len(found) > limit:
                break
    return found


async def _batches(records: Reading, plan: Plan) -> AsyncGenerator[list[Stored], None]:
    """Give all that match, batch by batch; raises Exhausted when too many had to be looked at."""
    after: Position | None = None
    order = Order("moment", descending=True)
    looked_at = 0
    while True:
        some = await records.search(plan.where, order, _LARGEST_BATCH, after)
        yield await passing(plan, some.records)
        if not some.more or not some.records:
            return
        looked_at += len(some.records)
        if plan.test is not None and looked_at > MAX_LOOKED_AT:
            raise Exhausted
        after = position(some.records[-1], order)


def position(last: Stored, order: Order) -> Position:
    """Return where a page ends that a resource is the last of."""
    values = {"moment": last.moment, "updated": last.updated, "key": 0}
    return Position(values[order.by], last.key)
