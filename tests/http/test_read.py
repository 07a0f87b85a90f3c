"""read and vread over HTTP. https://hl7.org/fhir/R4/http.html#read"""

from __future__ import annotations

from fhir_server.testing.client import FhirClient


async def test_a_created_resource_is_read_back_with_its_decimals(server: FhirClient) -> None:
    made = await server.http.post(
        "/fhir/Observation",
        content=b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}',
        headers={"content-type": "application/fhir+json"},
    )
    assert made.status_code == 201
    read = await server.get(f"Observation/{made.json()['id']}")
    assert read.status_code == 200
    assert b'"value":1.00}' in read.content
    assert read.headers["etag"] == 'W/"1"'


async def test_what_is_not_there_is_not_found(server: FhirClient) -> None:
    answer = await server.get("Patient/nobody")
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["code"] == "not-found"
