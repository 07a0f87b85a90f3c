"""Patient/$everything over HTTP, on a database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]
pytestmark = pytest.mark.engine


def observation(name: str, patient: str, day: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": day,
        **more,
    }


RECORDS: list[Json] = [
    {"resourceType": "Organization", "id": "hospital", "name": "Hospital"},
    {"resourceType": "Practitioner", "id": "doc"},
    {"resourceType": "Patient", "id": "a", "birthDate": "1950-01-01"},
    {"resourceType": "Patient", "id": "b", "birthDate": "1990-01-01"},
    {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/a"},
        "period": {"start": "2024-01-01", "end": "2024-01-05"},
        "serviceProvider": {"reference": "Organization/hospital"},
    },
    observation("o1", "a", "2024-01-02", encounter={"reference": "Encounter/visit"}),
    observation("o2", "a", "2024-02-02", performer=[{"reference": "Practitioner/doc"}]),
    observation("o3", "a", "2024-03-02"),
    {
        "resourceType": "AllergyIntolerance",
        "id": "undated",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        },
        "patient": {"reference": "Patient/a"},
    },
    observation("other", "b", "2024-04-02"),
]


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[FhirClient, None]:
    async with fhir_client() as http:
        for resource in RECORDS:
            answer = await http.put(f"{resource['resourceType']}/{resource['id']}", resource)
            assert answer.status_code == 201, answer.text
        yield http


def keys(bundle: Json, mode: str) -> list[str]:
    rows = [e["resource"] for e in bundle.get("entry", []) if e["search"]["mode"] == mode]
    return [f"{r['resourceType']}/{r['id']}" for r in rows]


def following(bundle: Json) -> str:
    """Return the path and query of the next link, or ''."""
    url = next((row["url"] for row in bundle["link"] if row["relation"] == "next"), "")
    return str(url).removeprefix("http://testserver")


RECORD = [
    "Patient/a",
    "Observation/o3",
    "Observation/o2",
    "Encounter/visit",
    "Observation/o1",
    "AllergyIntolerance/undated",
]


async def test_a_whole_record(server: FhirClient) -> None:
    answer = await server.get("Patient/a/$everything")
    assert answer.status_code == 200
    assert keys(answer.json(), "match") == RECORD
    assert keys(answer.json(), "include") == ["Organization/hospital", "Practitioner/doc"]
    assert answer.json()["total"] == 6
    assert (await server.post("Patient/a/$everything", {"resourceType": "Parameters"})).content == answer.content


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
async def test_pages(server: FhirClient, count: int) -> None:
    shown: list[str] = []
    url = f"/fhir/Patient/a/$everything?_count={count}"
    while url:
        answer = await server.get(url)
        assert answer.status_code == 200, answer.text
        assert len(keys(answer.json(), "match")) <= count
        shown += keys(answer.json(), "match")
        url = following(answer.json())
    assert shown == RECORD


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start=2024-02-02", ["Patient/a", "Observation/o3", "Observation/o2", "AllergyIntolerance/undated"]),
        ("end=2024-01-01", ["Patient/a", "Encounter/visit", "AllergyIntolerance/undated"]),
        ("start=2024-01-03&end=2024-01-04", ["Patient/a", "Encounter/visit", "AllergyIntolerance/undated"]),
        ("_type=Encounter,AllergyIntolerance", ["Encounter/visit", "AllergyIntolerance/undated"]),
        ("_type=Encounter&_type=Patient", ["Patient/a", "Encounter/visit"]),
        ("_since=2000-01-01T00:00:00Z", RECORD),
        ("_since=2999-01-01T00:00:00Z", []),
    ],
)
async def test_a_part(server: FhirClient, query: str, expected: list[str]) -> None:
    answer = await server.get(f"Patient/a/$everything?{query}")
    assert answer.status_code == 200, answer.text
    assert keys(answer.json(), "match") == expected


async def test_what_is_left_out_does_not_come_back_as_a_reference(server: FhirClient) -> None:
    answer = await server.get(
        "Patient/a/$everything?start=2024-01-02&end=2024-01-02&_type=Observation,Encounter,Practitioner"
    )
    assert keys(answer.json(), "match") == ["Encounter/visit", "Observation/o1"]
    assert keys(answer.json(), "include") == []
    answer = await server.get("Patient/a/$everything?_type=Observation")
    assert keys(answer.json(), "include") == []


async def test_everybody(server: FhirClient) -> None:
    answer = await server.get("Patient/$everything")
    assert keys(answer.json(), "match") == ["Patient/b", "Observation/other", *RECORD]
    shown: list[str] = []
    url = "/fhir/Patient/$everything?_count=3"
    while url:
        page = (await server.get(url)).json()
        shown += keys(page, "match")
        url = following(page)
    assert shown == keys(answer.json(), "match")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Patient/nobody/$everything", 404, "not-found"),
        ("Patient/a/$everything?_type=Observations", 400, "invalid"),
        ("Patient/a/$everything?start=yesterday", 400, "invalid"),
        ("Patient/a/$everything?_count=0", 400, "invalid"),
        ("Patient/a/$everything?_count=x", 400, "invalid"),
        ("Patient/a/$everything?_cursor=x", 200, ""),
        ("Patient/a/$everything?_count=2&_cursor=x", 400, "invalid"),
        ("Patient/a/$everything?unknown=1", 400, "invalid"),
        ("Observation/o1/$everything", 404, "not-found"),
    ],
)
async def test_refusals(server: FhirClient, path: str, status: int, code: str) -> None:
    answer = await server.get(path)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["issue"][0]["code"] == code


async def test_a_deleted_patient_is_gone(
    starting: Callable[..., AbstractAsyncContextManager[FhirClient]],
) -> None:
    async with starting() as http:
        await http.put("Patient/x", {"resourceType": "Patient", "id": "x"})
        assert (await http.delete("Patient/x")).status_code in (200, 204)
        assert (await http.get("Patient/x/$everything")).status_code == 410
