"""Writers at the same time: nothing is made twice and nothing is lost. https://hl7.org/fhir/R4/http.html#concurrency"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]

CREATORS = 64
WRITERS = 32
ROUNDS = 3


def counted(resource_id: str, count: int) -> Json:
    """Return a questionnaire answer that holds a count, to be incremented."""
    item = [{"linkId": "count", "answer": [{"valueInteger": count}]}]
    return {"resourceType": "QuestionnaireResponse", "id": resource_id, "status": "completed", "item": item}


def count_of(answer: httpx.Response) -> int:
    """Return the count in a resource."""
    return int(answer.json()["item"][0]["answer"][0]["valueInteger"])


async def started(server: FhirClient) -> str:
    """Create a resource with a count of 0 and return its id."""
    name = f"race-{uuid4()}"
    assert (await server.put(f"QuestionnaireResponse/{name}", counted(name, 0))).status_code == 201
    return name


async def history(server: FhirClient, path: str) -> list[Json]:
    """Return the resources of all versions, newest first."""
    bundle = (await server.get(f"{path}/_history?_count=200")).json()
    return [entry["resource"] for entry in bundle["entry"]]


async def test_racing_conditional_creates_make_exactly_one(shared_server: FhirClient) -> None:
    value = uuid4().hex
    criteria = f"identifier=urn:example:race|{value}"
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:example:race", "value": value}]}
    answers = await asyncio.gather(
        *(shared_server.post("Patient", body, If_None_Exist=criteria) for _ in range(CREATORS))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 200: CREATORS - 1}
    assert len({a.json()["id"] for a in answers}) == 1
    found = (await shared_server.get(f"Patient?{criteria}&_count=100")).json()
    assert [e["resource"]["id"] for e in found["entry"]] == [answers[0].json()["id"]]


async def test_racing_conditional_updates_without_a_match_make_one_resource_and_lose_nothing(
    shared_server: FhirClient,
) -> None:
    system, value = "urn:example:race", uuid4().hex
    criteria = f"identifier={system}|{value}"
    body = {"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}
    answers = await asyncio.gather(
        *(shared_server.put(f"Patient?{criteria}", body | {"name": [{"family": f"F{n}"}]}) for n in range(WRITERS))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 200: WRITERS - 1}
    assert len((await shared_server.get(f"Patient?{criteria}&_count=100")).json()["entry"]) == 1
    versions = await history(shared_server, f"Patient/{answers[0].json()['id']}")
    assert {v["name"][0]["family"] for v in versions} == {f"F{n}" for n in range(WRITERS)}
    assert len(versions) == WRITERS


async def test_racing_conditional_updates_with_ids_of_their_own_make_one_resource(shared_server: FhirClient) -> None:
    system, value = "urn:example:race", uuid4().hex
    criteria = f"identifier={system}|{value}"
    body = {"resourceType": "Patient", "identifier": [{"system": system, "value": value}]}
    answers = await asyncio.gather(
        *(shared_server.put(f"Patient?{criteria}", body | {"id": f"{value}-{n}"}) for n in range(WRITERS))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 400: WRITERS - 1}
    made = next(a.json()["id"] for a in answers if a.status_code == 201)
    found = (await shared_server.get(f"Patient?{criteria}&_count=100")).json()
    assert [e["resource"]["id"] for e in found["entry"]] == [made]


async def test_racing_conditional_updates_with_one_id_lose_nothing(shared_server: FhirClient) -> None:
    system, value = "urn:example:race", uuid4().hex
    criteria = f"identifier={system}|{value}"
    body = {"resourceType": "Patient", "id": value, "identifier": [{"system": system, "value": value}]}
    answers = await asyncio.gather(
        *(shared_server.put(f"Patient?{criteria}", body | {"name": [{"family": f"F{n}"}]}) for n in range(WRITERS))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 200: WRITERS - 1}
    versions = await history(shared_server, f"Patient/{value}")
    assert {v["name"][0]["family"] for v in versions} == {f"F{n}" for n in range(WRITERS)}


async def test_racing_puts_of_a_new_id_create_it_once(shared_server: FhirClient) -> None:
    name = f"race-{uuid4()}"
    path = f"QuestionnaireResponse/{name}"
    answers = await asyncio.gather(
        *(shared_server.put(path, counted(name, n), If_None_Match="*") for n in range(WRITERS))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 412: WRITERS - 1}
    winner = next(a for a in answers if a.status_code == 201)
    assert (await shared_server.get(path)).content == winner.content
    assert len(await history(shared_server, path)) == 1


async def test_of_racing_updates_of_one_version_exactly_one_wins(shared_server: FhirClient) -> None:
    name = await started(shared_server)
    path = f"QuestionnaireResponse/{name}"
    for version in range(1, ROUNDS + 1):
        etag = f'W/"{version}"'
        answers = await asyncio.gather(
            *(shared_server.put(path, counted(name, version * 100 + n), If_Match=etag) for n in range(WRITERS))
        )
        assert Counter(a.status_code for a in answers) == {200: 1, 412: WRITERS - 1}
        winner = next(a for a in answers if a.status_code == 200)
        assert winner.headers["etag"] == f'W/"{version + 1}"'
        assert (await shared_server.get(path)).content == winner.content
    assert len(await history(shared_server, path)) == ROUNDS + 1


async def test_no_increment_is_lost_when_clients_read_again_and_retry(shared_server: FhirClient) -> None:
    name = await started(shared_server)
    path = f"QuestionnaireResponse/{name}"

    async def increment() -> None:
        for _ in range(WRITERS):  # of those who try, one wins each time: nobody loses more often than there are others
            read = await shared_server.get(path)
            body = counted(name, count_of(read) + 1)
            written = await shared_server.put(path, body, If_Match=read.headers["etag"])
            if written.status_code == 200:
                return
            assert written.status_code == 412
        raise AssertionError("A writer lost more often than there are others.")

    await asyncio.gather(*(increment() for _ in range(WRITERS)))
    assert count_of(await shared_server.get(path)) == WRITERS
    counts = [r["item"][0]["answer"][0]["valueInteger"] for r in await history(shared_server, path)]
    assert counts == list(range(WRITERS, -1, -1))


async def test_racing_updates_without_a_condition_all_get_a_version(shared_server: FhirClient) -> None:
    name = await started(shared_server)
    path = f"QuestionnaireResponse/{name}"
    answers = await asyncio.gather(*(shared_server.put(path, counted(name, n)) for n in range(1, WRITERS + 1)))
    assert Counter(a.status_code for a in answers) == {200: WRITERS}
    assert {a.headers["etag"] for a in answers} == {f'W/"{v}"' for v in range(2, WRITERS + 2)}
    versions = await history(shared_server, path)
    assert [v["meta"]["versionId"] for v in versions] == [str(v) for v in range(WRITERS + 1, 0, -1)]
    assert sorted(v["item"][0]["answer"][0]["valueInteger"] for v in versions) == list(range(WRITERS + 1))
