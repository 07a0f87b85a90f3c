"""Servers whose search parameters change: the grace of reindexing is as short as it can be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]

STRICT = {"prefer": "handling=strict"}
EYE = "http://clinic.example/eye-color"


def parameter(code: str = "eye-color", **changes: Any) -> Json:
    """Return a SearchParameter for Patient; what is changed to None is left out."""
    made: Json = {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://clinic.example/SearchParameter/{code}",
        "name": "Test",
        "status": "active",
        "description": "For a test",
        "code": code,
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension('{EYE}').value",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def patient(patient_id: str, color: str = "", **more: Any) -> Json:
    """Return a patient with the colour of the eyes."""
    eye = {"extension": [{"url": EYE, "valueCode": color}]} if color else {}
    return {"resourceType": "Patient", "id": patient_id, **eye, **more}


@pytest.fixture
async def quick() -> AsyncIterator[FhirClient]:
    """A server with nothing in it."""
    async with fhir_client(reindex_grace_seconds="1") as client:
        yield client


async def found(client: FhirClient, query: str) -> list[str]:
    """Return the ids that a search finds, which must understand every parameter."""
    answer = await client.get(query, **STRICT)
    assert answer.status_code == 200, answer.text
    return sorted(e["resource"]["id"] for e in answer.json().get("entry", []))


async def ready(client: FhirClient, query: str, seconds: float = 15) -> None:
    """Wait until every parameter of a query can be searched by."""
    end = time.monotonic() + seconds
    while (answer := await client.get(query, **STRICT)).status_code != 200:
        assert time.monotonic() < end, answer.text
        await asyncio.sleep(0.05)


async def made(client: FhirClient, *resources: Json) -> None:
    """Write resources under their ids."""
    for resource in resources:
        answer = await client.put(f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code in (200, 201), answer.text


async def job(client: FhirClient, path: str, body: Json | None = None) -> Json:
    """Start a job and return its result."""
    answer = await client.post(path, body) if body else await client.send("POST", path)
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    for _ in range(300):
        answer = await client.get(place)
        if answer.status_code != 202:
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text
    result: Json = answer.json()
    return result
