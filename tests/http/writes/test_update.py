"""update over HTTP. https://hl7.org/fhir/R4/http.html#update"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


def patient(patient_id: str, family: str) -> Json:
    """Return a patient of that id and name."""
    return {"resourceType": "Patient", "id": patient_id, "name": [{"family": family}]}


def new_id() -> str:
    """Return an id nobody has used."""
    return f"u-{uuid4()}"


def code(answer: httpx.Response) -> str:
    """Return the code of the one issue of an OperationOutcome."""
    (issue,) = answer.json()["issue"]
    return str(issue["code"])


async def versions(server: FhirClient, patient_id: str) -> int:
    """Return how many versions the history has."""
    return int((await server.get(f"Patient/{patient_id}/_history")).json()["total"])


async def test_put_creates_what_is_not_there_under_the_id_of_the_url(shared_server: FhirClient) -> None:
    name = new_id()
    made = await shared_server.put(f"Patient/{name}", patient(name, "One"))
    assert made.status_code == 201
    assert made.headers["location"] == f"http://testserver/fhir/Patient/{name}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert "last-modified" in made.headers
    assert made.json()["id"] == name
    assert (await shared_server.get(f"Patient/{name}")).content == made.content


async def test_put_over_a_resource_makes_the_next_version(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two"))
    assert updated.status_code == 200
    assert updated.headers["etag"] == 'W/"2"'
    assert updated.json()["meta"]["versionId"] == "2"
    assert updated.headers["location"] == f"http://testserver/fhir/Patient/{name}/_history/2"
    assert (await shared_server.get(f"Patient/{name}")).json()["name"] == [{"family": "Two"}]
    assert (await shared_server.get(f"Patient/{name}/_history/1")).json()["name"] == [{"family": "One"}]


async def test_the_version_in_the_body_does_not_count(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two") | {"meta": {"versionId": "9"}})
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')


async def test_the_same_content_again_makes_no_version(shared_server: FhirClient) -> None:
    name = new_id()
    made = await shared_server.put(f"Patient/{name}", patient(name, "One"))
    again = await shared_server.put(f"Patient/{name}", patient(name, "One"))
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')
    assert again.content == made.content
    as_read = await shared_server.put(f"Patient/{name}", made.json())
    assert (as_read.status_code, as_read.headers["etag"]) == (200, 'W/"1"')
    assert await versions(shared_server, name) == 1


async def test_prefer_minimal_answers_an_update_without_a_body(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two"), Prefer="return=minimal")
    assert (updated.status_code, updated.content, updated.headers["etag"]) == (200, b"", 'W/"2"')


async def test_if_match_of_the_current_version_updates(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two"), If_Match='W/"1"')
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')


@pytest.mark.parametrize("etag", ['W/"1"', 'W/"3"'])
async def test_if_match_of_another_version_is_refused(shared_server: FhirClient, etag: str) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    await shared_server.put(f"Patient/{name}", patient(name, "Two"))
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Three"), If_Match=etag)
    assert (refused.status_code, code(refused)) == (412, "conflict")
    assert (await shared_server.get(f"Patient/{name}")).json()["name"] == [{"family": "Two"}]
    assert await versions(shared_server, name) == 2


async def test_if_match_where_nothing_is_creates_nothing(shared_server: FhirClient) -> None:
    name = new_id()
    refused = await shared_server.put(f"Patient/{name}", patient(name, "One"), If_Match='W/"1"')
    assert (refused.status_code, code(refused)) == (412, "conflict")
    assert (await shared_server.get(f"Patient/{name}")).status_code == 404


async def test_if_match_star_updates_what_is_there_and_creates_nothing(shared_server: FhirClient) -> None:
    name = new_id()
    refused = await shared_server.put(f"Patient/{name}", patient(name, "One"), If_Match="*")
    assert (refused.status_code, code(refused)) == (412, "conflict")
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two"), If_Match="*")
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    await shared_server.delete(f"Patient/{name}")
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Three"), If_Match="*")
    assert (refused.status_code, code(refused)) == (412, "conflict")


async def test_if_match_of_one_of_several_versions_updates(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    updated = await shared_server.put(f"Patient/{name}", patient(name, "Two"), If_Match='W/"7", W/"1"')
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Three"), If_Match='W/"7", W/"1"')
    assert (refused.status_code, code(refused)) == (412, "conflict")


@pytest.mark.parametrize("etag", ['W/"one"', "W/", 'W/"-1"', 'W/"1", W/', '*, W/"1"', 'W/"12345678901"'])
async def test_an_if_match_that_is_no_version_is_refused(shared_server: FhirClient, etag: str) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Two"), If_Match=etag)
    assert (refused.status_code, code(refused)) == (400, "invalid")
    assert refused.json()["issue"][0]["location"] == ["http.If-Match"]
    assert await versions(shared_server, name) == 1


async def test_if_none_match_star_creates_and_never_overwrites(shared_server: FhirClient) -> None:
    name = new_id()
    made = await shared_server.put(f"Patient/{name}", patient(name, "One"), If_None_Match="*")
    assert made.status_code == 201
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Two"), If_None_Match="*")
    assert (refused.status_code, code(refused)) == (412, "conflict")
    assert await versions(shared_server, name) == 1


@pytest.mark.parametrize("body_id", [{"id": "another"}, {}])
async def test_a_body_without_the_id_of_the_url_is_refused(shared_server: FhirClient, body_id: Json) -> None:
    name = new_id()
    refused = await shared_server.put(f"Patient/{name}", {"resourceType": "Patient"} | body_id)
    assert (refused.status_code, code(refused)) == (400, "invalid")
    assert refused.json()["issue"][0]["expression"] == ["Patient.id"]
    assert (await shared_server.get(f"Patient/{name}")).status_code == 404


async def test_an_invalid_update_is_refused_and_changes_nothing(shared_server: FhirClient) -> None:
    name = new_id()
    made = await shared_server.put(f"Patient/{name}", patient(name, "One"))
    refused = await shared_server.put(f"Patient/{name}", patient(name, "Two") | {"birthDate": "soon"})
    assert refused.status_code == 422
    assert (await shared_server.get(f"Patient/{name}")).content == made.content


async def test_an_update_after_a_delete_creates_the_version_after_the_deletion(shared_server: FhirClient) -> None:
    name = new_id()
    await shared_server.put(f"Patient/{name}", patient(name, "One"))
    await shared_server.delete(f"Patient/{name}")
    again = await shared_server.put(f"Patient/{name}", patient(name, "One"))
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"3"')
    assert again.headers["location"].endswith(f"/Patient/{name}/_history/3")
    assert (await shared_server.get(f"Patient/{name}")).status_code == 200
    assert await versions(shared_server, name) == 3
