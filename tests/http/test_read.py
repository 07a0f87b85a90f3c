"""read and vread over HTTP. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


async def two_versions(client: FhirClient) -> tuple[Json, Json]:
    """Write a Patient twice and return both versions as they were answered."""
    first = await client.post("Patient", {"resourceType": "Patient"})
    second = await client.put(f"Patient/{first.json()['id']}", {**first.json(), "active": True})
    assert (first.status_code, second.status_code) == (201, 200)
    return first.json(), second.json()


async def test_a_created_resource_is_read_back_with_its_decimals(shared_server: FhirClient) -> None:
    made = await shared_server.http.post(
        "/fhir/Observation",
        content=b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}',
        headers={"content-type": "application/fhir+json"},
    )
    assert made.status_code == 201
    read = await shared_server.get(f"Observation/{made.json()['id']}")
    assert read.status_code == 200
    assert b'"value":1.00}' in read.content
    assert read.content == made.content
    assert read.headers["etag"] == 'W/"1"'
    assert read.headers["content-type"] == "application/fhir+json; charset=utf-8"


async def test_what_is_not_there_is_not_found(shared_server: FhirClient) -> None:
    answer = await shared_server.get("Patient/nobody")
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["code"] == "not-found"


async def test_every_version_is_read_by_its_number(shared_server: FhirClient) -> None:
    first, second = await two_versions(shared_server)
    path = f"Patient/{first['id']}"
    old, new = [await shared_server.get(f"{path}/_history/{version}") for version in (1, 2)]
    assert (old.json(), old.headers["etag"]) == (first, 'W/"1"')
    assert (new.json(), new.headers["etag"]) == (second, 'W/"2"')
    assert (await shared_server.get(path)).content == new.content
    assert new.headers["last-modified"] == (await shared_server.get(path)).headers["last-modified"]


@pytest.mark.parametrize("version", ["3", "0", "-1", "x", "99999999999999999999", "%D9%A1"])
async def test_a_version_that_never_was_is_not_found(shared_server: FhirClient, version: str) -> None:
    first, _ = await two_versions(shared_server)
    answer = await shared_server.get(f"Patient/{first['id']}/_history/{version}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


async def test_a_deletion_is_a_version_that_is_gone(shared_server: FhirClient) -> None:
    first, second = await two_versions(shared_server)
    path = f"Patient/{first['id']}"
    await shared_server.delete(path)
    for gone in (await shared_server.get(path), await shared_server.get(f"{path}/_history/3")):
        assert (gone.status_code, gone.headers["etag"]) == (410, 'W/"3"')
        assert gone.json()["issue"][0]["code"] == "deleted"
    assert (await shared_server.get(f"{path}/_history/2")).json() == second


@pytest.mark.parametrize("known", ['W/"2"', '"2"', 'W/"7", W/"2"', "*"])
async def test_a_version_the_client_has_is_not_sent_again(shared_server: FhirClient, known: str) -> None:
    first, _ = await two_versions(shared_server)
    path = f"Patient/{first['id']}"
    answer = await shared_server.get(path, if_none_match=known)
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"2"')
    assert "content-type" not in answer.headers
    assert (await shared_server.get(path, if_none_match='W/"1"')).status_code == 200


async def test_a_path_is_decoded_once(shared_server: FhirClient) -> None:
    await shared_server.put("Patient/decoded-a", {"resourceType": "Patient", "id": "decoded-a"})
    assert (await shared_server.get("Patient/decoded-%61")).status_code == 200
    assert (await shared_server.get("Patient/decoded-%2561")).status_code == 400
