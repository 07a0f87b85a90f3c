"""fhirpy: an asynchronous Python client. https://github.com/beda-software/fhir-py"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.running import RunningServer

pytestmark = [pytest.mark.clients, pytest.mark.engine]


@pytest.fixture
def client(running: RunningServer) -> Any:
    return AsyncFHIRClient(running.url)


@pytest.fixture
async def patient(client: Any) -> Any:
    name = {"family": f"Pythonic-{uuid4().hex}", "given": ["Guido"]}
    return await client.resource("Patient", name=[name], active=True).create()


async def test_it_reads_what_it_created(client: Any, patient: Any) -> None:
    found = await client.get("Patient", patient.id)
    assert found["name"] == patient["name"]
    assert found["meta"]["versionId"] == "1"


async def test_it_finds_one_by_name_and_counts_it(client: Any, patient: Any) -> None:
    search = client.resources("Patient").search(family=patient["name"][0]["family"])
    assert await search.count() == 1
    assert (await search.get()).id == patient.id


async def test_it_updates(client: Any, patient: Any) -> None:
    patient["gender"] = "other"
    await patient.update()
    assert patient["meta"]["versionId"] == "2"
    assert (await client.get("Patient", patient.id))["gender"] == "other"


async def test_it_patches_when_it_says_that_it_sends_a_merge_patch(running: RunningServer, patient: Any) -> None:
    """By itself it sends the changed members as application/json, which FHIR knows as no patch."""
    patching = AsyncFHIRClient(running.url, extra_headers={"Content-Type": "application/merge-patch+json"})
    found = await patching.patch("Patient", patient.id, active=False, birthDate="1956-01-31")
    assert found["meta"]["versionId"] == "2"
    assert (found["active"], found["birthDate"], found["name"]) == (False, "1956-01-31", patient["name"])


async def test_it_creates_only_where_nothing_matches_when_it_sends_the_condition(running: RunningServer) -> None:
    """Its get_or_create puts the condition in the URL; FHIR has a header for it."""
    value = uuid4().hex
    careful = AsyncFHIRClient(running.url, extra_headers={"If-None-Exist": f"identifier=urn:tests|{value}"})
    body = {"identifier": [{"system": "urn:tests", "value": value}]}
    first = await careful.resource("Patient", **body).create()
    again = await careful.resource("Patient", **body).create()
    assert again.id == first.id
    assert await careful.resources("Patient").search(identifier=f"urn:tests|{value}").count() == 1


async def test_it_fetches_all_pages_with_what_they_include(client: Any, patient: Any) -> None:
    for _ in range(5):
        await client.resource(
            "Observation", status="final", code={"text": "x"}, subject=patient.to_reference()
        ).create()
    search = client.resources("Observation").search(patient=patient.id).include("Observation", "subject").limit(2)
    assert len(await search.fetch_all()) == 5
    chained = client.resources("Observation").search(patient__Patient__family=patient["name"][0]["family"])
    assert len(await chained.fetch()) == 5


async def test_what_it_deleted_is_gone(client: Any, patient: Any) -> None:
    await patient.delete()
    with pytest.raises(ResourceNotFound):
        await client.get("Patient", patient.id)


async def test_a_wrong_resource_is_refused_with_an_outcome_it_understands(client: Any) -> None:
    with pytest.raises(OperationOutcome) as refused:
        await client.resource("Patient", gender="unheard-of").create()
    (issue,) = refused.value.resource["issue"]
    assert (issue["severity"], issue["expression"]) == ("error", ["Patient.gender"])
