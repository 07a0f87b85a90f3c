"""Pages while others write: what does not change is shown once, on whichever page; all pages together are the result.

https://hl7.org/fhir/R4/http.html#paging. R4 leaves what happens to the others to the server.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.search.driving import Answered, ask, load, read, readable, take
from tests.conformance.search.oracle import Oracle

Json = dict[str, Any]

STEADY = 120
RESTLESS = 30
SIZE = 7
WRITERS = 3
QUERIES = [
    "Patient?name=a",
    "Patient?name=a&_sort=birthdate",
    "Patient?name=a&_sort=-birthdate",
    "Patient?name=a&_sort=family",
    "Patient?name=a&_sort=-gender,birthdate",
    "Patient?name=a&_sort=_lastUpdated",
    "Patient?name=a&_sort=-_lastUpdated",
    "Patient?name=a&_sort=_id",
    "Patient?name=a&_sort=-_id",
    "Patient?gender:not=male",
    "Patient?name:contains=a&birthdate:missing=false",
    "Patient?_has:Observation:patient:code=c",
    "?_type=Patient,Observation&_tag:missing=true",
]


def patient(own: str, chance: random.Random) -> Json:
    """Return a patient whose every value is drawn from few, so that many tie."""
    born = (
        {"birthDate": chance.choice(["1950", "1980-05", "1980-05-05", "2001-01-01"])} if chance.random() < 0.8 else {}
    )
    family = chance.choice(["Abel", "Adler", "ahrens"])
    return {
        "resourceType": "Patient",
        "id": own,
        "name": [{"family": family}],
        "gender": chance.choice(["male", "female"]),
    } | born


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[FhirClient]:
    """A server with patients that stay as they are, and their observations."""
    chance = random.Random(1)
    people = [patient(f"s{n}", chance) for n in range(STEADY)]
    seen = [
        {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "code": {"coding": [{"code": "c"}]},
            "subject": {"reference": f"Patient/s{n}"},
        }
        for n in range(0, STEADY, 2)
    ]
    async with fhir_client() as client:
        await load(client, [*people, *seen])
        yield client


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("query", ["Patient?name=a", "Patient?name=a&_sort=-gender,birthdate", "Patient?_sort=family"])
async def test_the_pages_together_are_the_whole_result(server: FhirClient, query: str, size: int) -> None:
    whole = (await ask(server, f"{query}&_count=1000")).matches
    paged = await ask(server, f"{query}&_count={size}")
    assert paged.matches == whole
    assert all(len(matches) == size for matches, _ in paged.pages[:-1])


@pytest.mark.parametrize("query", QUERIES)
async def test_what_does_not_change_is_on_one_page_however_much_is_written(server: FhirClient, query: str) -> None:
    keys = [*(f"Patient/s{n}" for n in range(STEADY)), *(f"Observation/o{n}" for n in range(0, STEADY, 2))]
    wanted = Oracle(await read(server, keys)).search(query)
    stop = asyncio.Event()
    writers = [asyncio.create_task(_write(server, f"w{n}-", stop)) for n in range(WRITERS)]
    try:
        shown = await _pages(server, f"{query}&_count={SIZE}")
    finally:
        stop.set()
        written = sum(await asyncio.gather(*writers))
    assert written > WRITERS, "nothing was written meanwhile"
    assert [key for key in shown if key in set(wanted)] == wanted


async def _pages(server: FhirClient, url: str) -> list[str]:
    """Follow a search slowly, so that much is written between its pages."""
    answered = Answered()
    following = f"/fhir{readable(url)}" if url.startswith("?") else f"/fhir/{readable(url)}"
    while following:
        answer = await server.get(following)
        assert answer.status_code == 200, answer.text[:500]
        following = take(answered, answer.json()).removeprefix("http://testserver")
        await asyncio.sleep(0.003)
    return answered.matches


async def _write(server: FhirClient, mark: str, stop: asyncio.Event) -> int:
    """Create, change and delete patients among the others until told to stop; return how often."""
    chance = random.Random(mark)
    written = 0
    while not stop.is_set():
        own = f"{chance.choice('art')}{mark}{chance.randrange(RESTLESS)}"
        if chance.random() < 0.3:
            answer = await server.delete(f"Patient/{own}")
        else:
            answer = await server.put(f"Patient/{own}", patient(own, chance))
        assert answer.status_code in (200, 201, 204), answer.text[:500]
        written += 1
    return written
