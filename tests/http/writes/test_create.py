"""create over HTTP. https://hl7.org/fhir/R4/http.html#create"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


def issues(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return code and expression of every issue of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return [(issue["code"], issue.get("expression", [""])[0]) for issue in body["issue"]]


async def test_a_created_resource_has_a_location_a_version_and_a_time(shared_server: FhirClient) -> None:
    made = await shared_server.post("Patient", {"resourceType": "Patient", "active": True})
    assert made.status_code == 201
    body = made.json()
    assert made.headers["location"] == f"http://testserver/fhir/Patient/{body['id']}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["content-type"].startswith("application/fhir+json")
    assert body["meta"]["versionId"] == "1"
    assert body["active"] is True
    written = parsedate_to_datetime(made.headers["last-modified"])
    assert body["meta"]["lastUpdated"].startswith(written.strftime("%Y-%m-%dT%H:%M:%S"))


async def test_the_location_leads_to_what_was_created(shared_server: FhirClient) -> None:
    made = await shared_server.post("Patient", {"resourceType": "Patient", "active": True})
    read = await shared_server.http.get(made.headers["location"])
    assert (read.status_code, read.content) == (200, made.content)


async def test_the_server_gives_the_id_version_and_time_whatever_the_client_says(shared_server: FhirClient) -> None:
    asked = f"asked-{uuid4()}"
    meta = {"versionId": "7", "lastUpdated": "1999-01-01T00:00:00Z", "source": "urn:example:source"}
    made = await shared_server.post("Patient", {"resourceType": "Patient", "id": asked, "meta": meta})
    body = made.json()
    assert made.status_code == 201
    assert body["id"] != asked
    assert body["meta"]["versionId"] == "1"
    assert not body["meta"]["lastUpdated"].startswith("1999")
    assert body["meta"]["source"] == "urn:example:source"
    assert (await shared_server.get(f"Patient/{asked}")).status_code == 404


async def test_two_creates_of_the_same_content_make_two_resources(shared_server: FhirClient) -> None:
    first = await shared_server.post("Patient", {"resourceType": "Patient"})
    second = await shared_server.post("Patient", {"resourceType": "Patient"})
    assert first.json()["id"] != second.json()["id"]


async def test_prefer_minimal_answers_without_a_body(shared_server: FhirClient) -> None:
    made = await shared_server.post("Patient", {"resourceType": "Patient"}, Prefer="return=minimal")
    assert (made.status_code, made.content) == (201, b"")
    assert made.headers["etag"] == 'W/"1"'
    assert (await shared_server.http.get(made.headers["location"])).status_code == 200


async def test_prefer_representation_answers_with_the_resource(shared_server: FhirClient) -> None:
    made = await shared_server.post("Patient", {"resourceType": "Patient"}, Prefer="return=representation")
    assert made.status_code == 201
    assert made.json()["resourceType"] == "Patient"


async def test_prefer_operation_outcome_answers_with_what_happened(shared_server: FhirClient) -> None:
    made = await shared_server.post("Patient", {"resourceType": "Patient"}, Prefer="return=OperationOutcome")
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    outcome = made.json()
    assert outcome["resourceType"] == "OperationOutcome"
    told = [(issue["severity"], issue["diagnostics"].split()[-1]) for issue in outcome["issue"]]
    assert told == [("information", "1."), ("warning", "text.`div`.exists()")]


async def test_an_invalid_resource_is_refused_with_every_issue_and_not_written(server: FhirClient) -> None:
    body = {"resourceType": "Patient", "gender": "unheard", "birthDate": "soon", "active": "yes", "shoes": 2}
    refused = await server.post("Patient", body)
    assert refused.status_code == 422
    found = {expression for _, expression in issues(refused)}
    assert found == {"Patient.gender", "Patient.birthDate", "Patient.active", "Patient.shoes"}
    assert "location" not in refused.headers
    history = (await server.get("_history")).json()
    assert (history["total"], history.get("entry", [])) == (0, [])


async def test_a_body_of_another_type_is_refused(shared_server: FhirClient) -> None:
    refused = await shared_server.post("Patient", {"resourceType": "Observation", "status": "final"})
    assert refused.status_code == 400
    assert issues(refused) == [("invalid", "resourceType")]


@pytest.mark.parametrize("body", [{"active": True}, [], "text", 1, None, {"resourceType": 5}])
async def test_a_body_that_is_no_resource_is_refused(shared_server: FhirClient, body: Any) -> None:
    refused = await shared_server.post("Patient", body)
    assert refused.status_code == 400
    assert issues(refused) == [("invalid", "Patient")]


async def test_bytes_that_are_not_json_are_refused(shared_server: FhirClient) -> None:
    refused = await shared_server.send("POST", "Patient", b'{"resourceType":', content_type="application/fhir+json")
    assert refused.status_code == 400
    assert issues(refused) == [("structure", "")]


async def test_a_type_that_fhir_does_not_have_is_not_found(shared_server: FhirClient) -> None:
    refused = await shared_server.post("Pet", {"resourceType": "Pet"})
    assert refused.status_code == 404
    assert issues(refused) == [("not-found", "")]
