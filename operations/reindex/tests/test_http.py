"""$reindex over HTTP, on a database. What is in the index is spoiled by hand, for nothing else can do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]
pytestmark = pytest.mark.engine


@pytest.fixture
async def http() -> AsyncIterator[FhirClient]:
    """A server with patients and an organization, found by nothing."""
    async with fhir_client(reindex_grace_seconds="1") as client:
        for number in range(45):
            patient = {"resourceType": "Patient", "id": f"p{number}", "gender": "male", "birthDate": "2000"}
            assert (await client.put(f"Patient/p{number}", patient)).status_code == 201
        await client.put("Organization/o", {"resourceType": "Organization", "id": "o", "name": "Clinic"})
        await spoil(client)
        yield client


async def spoil(client: FhirClient) -> None:
    """Leave but one wrong term of the index."""
    store = client.app._store
    assert store is not None
    tenant = await store.tenant("default")
    assert tenant is not None
    change = {"$set": {"t": [7], "d": 1}, "$unset": {"s": "", "p": ""}}
    update = {"update": "resources", "updates": [{"q": {}, "u": change, "multi": True}]}
    assert (await store._driver.command(tenant.database, update))["nModified"] == 46


async def count(client: FhirClient, query: str) -> int:
    total: int = (await client.get(f"{query}&_summary=count")).json()["total"]
    return total


async def run(client: FhirClient, path: str) -> Json:
    """Start the job and return the values of its result."""
    answer = await client.send("POST", path)
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    for _ in range(200):
        answer = await client.get(place)
        if answer.status_code != 202:
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text
    return {p["name"]: p["valueInteger"] for p in answer.json()["parameter"]}


async def test_one_resource_a_type_and_the_system(http: FhirClient) -> None:
    before = (await http.get("Patient/p7")).content
    assert await count(http, "Patient?gender=male") == 0
    answer = await http.send("POST", "Patient/p7/$reindex")
    assert answer.status_code == 200, answer.text
    added, removed = ((p["name"], p["valueInteger"]) for p in answer.json()["parameter"])
    assert added[0] == "added"
    assert added[1] > 5
    assert removed == ("removed", 1)
    assert await count(http, "Patient?gender=male") == 1
    assert (await http.send("POST", "Patient/p7/$reindex")).json()["parameter"] == [
        {"name": "added", "valueInteger": 0},
        {"name": "removed", "valueInteger": 0},
    ]

    assert await run(http, "Patient/$reindex") == {"resources": 45, "changed": 44}
    assert await count(http, "Patient?gender=male&birthdate=2000") == 45
    assert await count(http, "Organization?name=clinic") == 0

    assert await run(http, "$reindex") == {"resources": 46, "changed": 1}
    assert await count(http, "Organization?name=clinic") == 1
    after = await http.get("Patient/p7")
    assert (after.content, after.headers["etag"]) == (before, 'W/"1"')
    assert (await http.get("Patient/p7/_history")).json()["total"] == 1


async def test_a_resource_that_is_not_there(http: FhirClient) -> None:
    assert (await http.send("POST", "Patient/nobody/$reindex")).status_code == 404
    await http.delete("Patient/p1")
    assert (await http.send("POST", "Patient/p1/$reindex")).status_code == 404
    assert (await http.get("Patient/p7/$reindex")).status_code == 405


async def test_a_job_that_was_stopped_changes_nothing_more(http: FhirClient) -> None:
    answer = await http.send("POST", "$reindex")
    place = answer.headers["content-location"].removeprefix("http://testserver")
    assert (await http.delete(place)).status_code == 202
    await asyncio.sleep(2.5)
    assert await count(http, "Patient?gender=male") == 0
