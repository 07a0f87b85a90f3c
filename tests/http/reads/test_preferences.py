"""Prefer: what a write gives back, alone or in a Bundle. https://hl7.org/fhir/R4/http.html#ops"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
PATIENT = {"resourceType": "Patient"}


def rows_of(kind: str, *requests: tuple[str, str, Json | None]) -> Json:
    entries = [
        {"request": {"method": method, "url": url}} | ({"resource": body} if body else {})
        for method, url, body in requests
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.mark.parametrize(
    "prefer",
    ["return=minimal", 'return="minimal"', "RETURN=minimal", "handling=lenient; return=minimal", "a, return=minimal"],
)
async def test_minimal_is_no_body_however_it_is_written(shared_server: FhirClient, prefer: str) -> None:
    made = await shared_server.post("Patient", PATIENT, prefer=prefer)
    assert (made.status_code, made.content, made.headers["etag"]) == (201, b"", 'W/"1"')


@pytest.mark.parametrize("prefer", ["return=representation", "return=everything", "x-return=minimal", "minimal"])
async def test_the_resource_is_given_back_otherwise(shared_server: FhirClient, prefer: str) -> None:
    assert (await shared_server.post("Patient", PATIENT, prefer=prefer)).json()["resourceType"] == "Patient"


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_the_writes_of_a_bundle_give_back_what_is_preferred_and_its_reads_all(
    shared_server: FhirClient, kind: str
) -> None:
    name = (await shared_server.post("Patient", PATIENT)).json()["id"]
    validated = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": PATIENT}]}
    bundle = rows_of(
        kind,
        ("POST", "Patient", PATIENT),
        ("PUT", f"Patient/{name}", {**PATIENT, "id": name, "active": True}),
        ("GET", f"Patient/{name}", None),
        ("POST", "Patient/$validate", validated),
    )
    answer = (await shared_server.post("", bundle, prefer="return=minimal")).json()
    assert ["resource" in e for e in answer["entry"]] == [False, False, True, True]
    assert [e["response"]["etag"] for e in answer["entry"][:2]] == ['W/"1"', 'W/"2"']
    answer = (await shared_server.post("", bundle, prefer="return=OperationOutcome")).json()
    assert ["resource" in e for e in answer["entry"]] == [False, False, True, True]
    assert [e["response"].get("outcome", {}).get("resourceType") for e in answer["entry"]] == [
        "OperationOutcome", "OperationOutcome", None, None,
    ]  # fmt: skip
    answer = (await shared_server.post("", bundle)).json()
    assert all("resource" in e for e in answer["entry"])
