"""Hand-written cases, a file for each section of the specification, asked of the oracle and of the server.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import decode
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.search.driving import Answered, ask, load, readable, take
from tests.conformance.search.oracle import BASE_URL, Oracle
from tests.conformance.search.ordering import included

Json = dict[str, Any]

FILES = sorted((Path(__file__).parent / "cases").glob("*.json"), key=lambda path: path.name)
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Section:
    """A server that holds the resources of one file, and the oracle over the same."""

    server: FhirClient
    oracle: Oracle


@cache
def content(name: str) -> Json:
    """Return a file of cases."""
    found: Json = decode((Path(__file__).parent / "cases" / f"{name}.json").read_bytes())
    return found


def rows(member: str) -> list[Any]:
    """Return every case of every file as a parameter of a test."""
    return [
        pytest.param(path.stem, case, id=f"{path.stem}: {case.get('query') or case['path'] + ' ' + case['body']}")
        for path in FILES
        for case in content(path.stem).get(member, ())
    ]


@pytest.fixture(scope="module")
async def sections() -> AsyncIterator[Callable[[str], Awaitable[Section]]]:
    """A function that returns the server of a file, started when it is first asked for."""
    async with AsyncExitStack() as stack:
        started: dict[str, Section] = {}

        async def start(name: str) -> Section:
            if name not in started:
                server = await stack.enter_async_context(fhir_client(base_url=BASE_URL))
                started[name] = Section(server, Oracle(await load(server, content(name)["resources"])))
            return started[name]

        yield start


@pytest.fixture
async def section(request: pytest.FixtureRequest, sections: Callable[[str], Awaitable[Section]]) -> Section:
    """The server of one file."""
    return await sections(request.param)


@pytest.mark.parametrize(("section", "case"), rows("cases"), indirect=["section"])
def test_the_oracle_finds_what_the_specification_says(section: Section, case: Json) -> None:
    found = section.oracle.search(case["query"])
    assert arranged(found, case) == wanted(case)
    if "included" in case:
        assert sorted(ids(included(section.oracle, found, case["query"]))) == sorted(case["included"])


@pytest.mark.parametrize(("section", "case"), rows("cases"), indirect=["section"])
async def test_the_server_finds_what_the_specification_says(section: Section, case: Json) -> None:
    answered = await ask(section.server, case["query"], strict=not case.get("lenient"))
    assert arranged(answered.matches, case) == wanted(case)
    order = sorted if "_contained=" in case["query"] else list
    assert order(answered.matches) == section.oracle.search(case["query"])
    if "included" in case:
        assert sorted(ids(answered.pages[0][1])) == sorted(case["included"])


@pytest.mark.parametrize(("section", "case"), rows("post"), indirect=["section"])
async def test_a_search_may_be_posted_as_a_form(section: Section, case: Json) -> None:
    answer = await section.server.send("POST", readable(case["path"]), case["body"].encode(), content_type=FORM)
    assert answer.status_code == 200, answer.text
    answered = Answered()
    assert take(answered, answer.json()) == ""
    assert arranged(answered.matches, case) == wanted(case)


def arranged(keys: list[str], case: Json) -> list[str]:
    """Return the ids as a case compares them: in order where the order is what it is about."""
    return ids(keys) if "_sort" in case.get("query", "") else sorted(ids(keys))


def wanted(case: Json) -> list[str]:
    """Return the ids a case expects."""
    return list(case["ids"]) if "_sort" in case.get("query", "") else sorted(case["ids"])


def ids(keys: Iterable[str]) -> list[str]:
    """Return the ids of keys."""
    return [key.partition("/")[2] for key in keys]
