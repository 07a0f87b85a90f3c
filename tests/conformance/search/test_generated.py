"""Whatever is asked of whatever is there, the server finds what the oracle finds, in its order.

https://hl7.org/fhir/R4/search.html. Every example is a small set of resources under ids and a tag of its own, and some
queries over it. SEARCH_EXAMPLES asks for more examples than the suite has time for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

from fhir_server.fhir.json import encode
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.search import asking, generating
from tests.conformance.search.driving import ask, load
from tests.conformance.search.oracle import BASE_URL, Oracle
from tests.conformance.search.ordering import included
from tests.conformance.search.shrinking import smallest

Json = dict[str, Any]
Pairs = list[tuple[str, str]]

# The embedded engine in Python takes some times as long.
EXAMPLES = os.environ.get("SEARCH_EXAMPLES", "15" if os.environ.get("FHIR_ENGINE") == "secantusd-py" else "100")
QUERIES = 32
TAGS = "http://example.org/examples"

UNTAGGED = 150


@dataclass
class Everything:
    """All that examples have loaded, and one query of each."""

    resources: list[Json] = field(default_factory=list)
    queries: list[tuple[str, Pairs]] = field(default_factory=list)


numbered = count()
everything = Everything()


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[FhirClient]:
    """A server that all examples share."""
    async with fhir_client(base_url=BASE_URL) as client:
        yield client


@settings(
    max_examples=int(EXAMPLES),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(example=asking.examples(generating.resources(), QUERIES, QUERIES // 2))
async def test_the_server_finds_what_the_oracle_finds(
    server: FhirClient, example: tuple[list[Json], list[tuple[str, Pairs]]]
) -> None:
    resources, queries = example
    for path, pairs in await disagreements(server, resources, queries):
        few, asked = await smallest(resources, list(pairs), lambda r, p, path=path: _still(server, path, r, p))
        found = await disagreements(server, few, [(path, asked)])
        raise AssertionError("\n".join([unquote_plus(asking.url(path, asked)), *map(_text, few), *found.values()]))


async def test_the_server_finds_it_among_all_the_others_too(server: FhirClient) -> None:
    """Without the tag the database has other ways to go."""
    if not everything.queries:
        pytest.skip("asks what the examples of the other test have loaded")
    oracle = Oracle(everything.resources)
    for path, pairs in everything.queries[-UNTAGGED:]:
        url = asking.url(path, [*(pair for pair in pairs if pair[0] != "_count"), ("_count", "100")])
        assert not await compared(server, oracle, url), unquote_plus(url)


async def disagreements(
    server: FhirClient, resources: list[Json], queries: list[tuple[str, Pairs]]
) -> dict[tuple[str, tuple[tuple[str, str], ...]], str]:
    """Load resources and return the queries that the server answers otherwise than the oracle, and how."""
    mark = f"x{next(numbered)}-"
    tag = {"meta": {"tag": [{"system": TAGS, "code": mark}]}}
    placed = generating.placed([resources, queries], mark)
    kept = await load(server, [{**resource, **tag} for resource in placed[0]])
    oracle = Oracle(kept)
    everything.resources.extend(kept)
    everything.queries.append(placed[1][0])
    found = {}
    for query, (path, pairs) in zip(queries, placed[1], strict=True):
        url = asking.url(path, [*pairs, ("_tag", f"{TAGS}|{mark}")])
        difference = await compared(server, oracle, url)
        if difference:
            found[query[0], tuple(query[1])] = difference
    return found


async def compared(server: FhirClient, oracle: Oracle, url: str) -> str:
    """Return how the server's answer differs from the oracle's, or ''."""
    wanted = oracle.search(url)
    try:
        answered = await ask(server, url)
    except AssertionError as refused:
        return str(refused)
    if answered.matches != wanted:
        return f"wanted {wanted}, got {answered.matches}"
    for matches, extra in answered.pages:
        also = included(oracle, matches, url)
        if sorted(extra) != sorted(also):
            return f"with {matches} wanted {sorted(also)}, got {sorted(extra)}"
    return ""


async def _still(server: FhirClient, path: str, resources: list[Json], pairs: Pairs) -> bool:
    try:
        return bool(await disagreements(server, resources, [(path, pairs)]))
    except AssertionError:
        return False  # the resources are not valid any more


def _text(resource: Json) -> str:
    return encode(resource).decode()
