"""Whatever is asked of whatever is there, the server finds what the oracle finds, in its order.

https://hl7.org/fhir/R4/search.html. Every example is a small set of resources under ids and a tag of its own, and some
queries over it. SEARCH_EXAMPLES asks for more examples than the suite has time for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, given, note, settings

from fhir_server.fhir.json import encode
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.search import asking, generating
from tests.conformance.search.driving import ask, load
from tests.conformance.search.oracle import BASE_URL, Oracle
from tests.conformance.search.ordering import included

Json = dict[str, Any]

# The embedded engine in Python takes some times as long.
EXAMPLES = int(os.environ.get("SEARCH_EXAMPLES", "20" if os.environ.get("FHIR_ENGINE") == "secantusd-py" else "150"))
QUERIES = 12
TAGS = "http://example.org/examples"

numbered = count()


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[FhirClient]:
    """A server that all examples share."""
    async with fhir_client(base_url=BASE_URL) as client:
        yield client


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(example=asking.examples(generating.resources(), QUERIES))
async def test_the_server_finds_what_the_oracle_finds(
    server: FhirClient, example: tuple[list[Json], list[tuple[str, list[tuple[str, str]]]]]
) -> None:
    mark = f"x{next(numbered)}-"
    resources, queries = generating.placed(example, mark)
    tag = {"meta": {"tag": [{"system": TAGS, "code": mark}]}}
    oracle = Oracle(await load(server, [{**resource, **tag} for resource in resources]))
    for path, pairs in queries:
        url = asking.url(path, [*pairs, ("_tag", f"{TAGS}|{mark}")])
        note(f"{unquote_plus(url)} over " + "\n".join(encode(r).decode() for r in oracle.resources.values()))
        answered = await ask(server, url)
        assert answered.matches == oracle.search(url), url
        for matches, extra in answered.pages:
            assert sorted(extra) == sorted(included(oracle, matches, url)), url
