"""Which concepts of a stored code system pass the filters of a value set, as a set of ordinals.

Filters along the hierarchy are sets already. For the others the database gives the concepts that have a property with
the value, which are then tested; where no filter tells so much, all that is left is read and tested.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Iterable, Sequence
from typing import Any

from fhir_server.api import encode
from fhir_server.api.concepts import ABSTRACT, INACTIVE
from terminology import spans
from terminology.codesystem import Node
from terminology.failures import TooHard
from terminology.fetching import settled
from terminology.filters import codes_of, keys_of
from terminology.relations import Relation, Test, relation
from terminology.spans import Spans
from terminology.stored import StoredCodeSystem, StoredNode

Json = dict[str, Any]

FEW = 2_000  # are read and tested without asking for their properties
MAX_LOOKED_AT = 400_000
AT_ONCE = 1_000


def selection(source: StoredCodeSystem, filters: Sequence[Json], tests: Sequence[Test]) -> Spans:
    """Return the concepts that pass all filters, whose tests are given too. Raises NotFetched, TooHard."""
    if not filters:
        return source.everything
    found: Spans = source.known(("filters", encode(list(filters))), lambda: _select(source, filters, tests))
    return found


def inactive(source: StoredCodeSystem) -> Spans:
    """Return the concepts that are no longer to be used. Raises NotFetched."""
    found: Spans = source.known(INACTIVE, lambda: _having(source, INACTIVE, source.is_inactive))
    return found


def abstract(source: StoredCodeSystem) -> Spans:
    """Return the concepts that are not to be chosen. Raises NotFetched."""
    found: Spans = source.known(ABSTRACT, lambda: _having(source, ABSTRACT, source.is_abstract))
    return found


async def _having(source: StoredCodeSystem, key: str, test: Test) -> Spans:
    return _passing(await source.having([key], MAX_LOOKED_AT), [test])


async def _select(source: StoredCodeSystem, filters: Sequence[Json], tests: Sequence[Test]) -> Spans:
    found, left = source.everything, []
    keys: list[list[str]] = []
    for row, test in zip(filters, tests, strict=True):
        exact, those = await _exact(source, row)
        if those is not None:
            found = spans.both(found, those)
        if not exact:
            left.append(test)
            keys.append(keys_of(row, source) if those is None else [])
    if not left:
        return found
    known = min((k for k in keys if k), key=len, default=None)
    if known is not None and spans.size(found) > FEW:
        return spans.both(found, _passing(await source.having(known, MAX_LOOKED_AT), left))
    return await _tested(source, found, left)


async def _exact(source: StoredCodeSystem, row: Json) -> tuple[bool, Spans | None]:
    """Return the set that holds all which pass a filter, if it is known at once, and whether all in it pass."""
    codes = codes_of(row, source)
    if codes is not None:
        await source.fetch(codes)
        return True, spans.of_ordinals(n.ordinal for n in map(source.get, codes) if n is not None)
    name, operator, value = (str(row.get(k, "")) for k in ("property", "op", "value"))

    def related() -> Relation | None:
        return relation(name, operator, value, source)

    found = await settled(related)
    if found is None or found.spans is None:
        return False, None
    return found.is_exact, await settled(found.spans)


async def _tested(source: StoredCodeSystem, wanted: Spans, tests: Sequence[Test]) -> Spans:
    if spans.size(wanted) > MAX_LOOKED_AT:
        raise TooHard(source.url)
    found: list[Spans] = []
    for part in spans.portions(wanted, AT_ONCE):
        found.append(_passing(await source.unkept(part), tests))
        await sleep(0)  # others are served meanwhile
    return spans.joined(s for part in found for s in part)


def _passing(nodes: Iterable[StoredNode], tests: Sequence[Test]) -> Spans:
    passing: Iterable[Node] = nodes
    for test in tests:
        passing = filter(test, passing)
    return spans.of_ordinals(n.ordinal for n in passing if isinstance(n, StoredNode))
