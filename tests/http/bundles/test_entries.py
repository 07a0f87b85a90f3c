"""Entries as nobody should write them, and patches as entries carry them. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]

PATIENT: Json = {"resourceType": "Patient", "active": True}


def entry(method: Any, url: Any, resource: Any = None, **request: Any) -> Json:
    """Return an entry, right or wrong."""
    made: Json = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else {**made, "resource": resource}


def bundle(kind: str, *entries: Any) -> Json:
    """Return a Bundle of entries."""
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


UNREADABLE: list[tuple[Any, str]] = [
    (None, "request"),
    ({}, "request"),
    ({"request": []}, "request"),
    (entry("GET", 1), "request"),
    (entry(["GET"], "Patient"), "request.method"),
    (entry("PUT", "Patient/a", {**PATIENT, "id": "a"}, ifMatch=1), "request.ifMatch"),
    (entry("GET", "Patient/a", ifNoneMatch=["*"]), "request.ifNoneMatch"),
    (entry("POST", "Patient", PATIENT, ifNoneExist={"a": 1}), "request.ifNoneExist"),
    (entry("PATCH", "Patient/a", {"resourceType": "Binary", "data": 7}), "resource.data"),
    (entry("PATCH", "Patient/a", {"resourceType": "Binary", "data": "*"}), "resource.data"),
    (entry("PATCH", "Patient/a", {"resourceType": "Binary"}), "resource.data"),
]


@pytest.mark.parametrize(("row", "place"), UNREADABLE)
async def test_an_entry_that_cannot_be_read_is_named(server: FhirClient, row: Any, place: str) -> None:
    where = f"Bundle.entry[0].{place}"
    answer = await server.post("", bundle("batch", row, entry("POST", "Patient", PATIENT)))
    refused, created = answer.json()["entry"]
    assert refused["response"]["status"] == "400 Bad Request"
    assert refused["response"]["outcome"]["issue"][0]["expression"] == [where]
    assert created["response"]["status"] == "201 Created"

    whole = await server.post("", bundle("transaction", row, entry("POST", "Patient", PATIENT)))
    assert (whole.status_code, whole.json()["issue"][0]["expression"]) == (400, [where])
    assert (await server.get("Patient?_summary=count")).json()["total"] == 1


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_patches_come_as_binaries_or_parameters(shared_server: FhirClient, kind: str) -> None:
    made = [(await shared_server.post("Patient", PATIENT)).json()["id"] for _ in range(2)]
    steps = b64encode(b'[{"op":"replace","path":"/active","value":false}]').decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": steps}
    remove = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.active"}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": remove}]}
    answer = await shared_server.post(
        "",
        bundle(kind, entry("PATCH", f"Patient/{made[0]}", binary), entry("PATCH", f"Patient/{made[1]}", parameters)),
    )
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200 OK", "200 OK"]
    assert (await shared_server.get(f"Patient/{made[0]}")).json()["active"] is False
    assert "active" not in (await shared_server.get(f"Patient/{made[1]}")).json()


async def test_racing_transactions_with_the_same_condition_make_one_resource(server: FhirClient) -> None:
    patient = {**PATIENT, "identifier": [{"value": "1"}]}
    sent = bundle("transaction", entry("POST", "Patient", patient, ifNoneExist="identifier=1"))
    answers = await asyncio.gather(*(server.post("", sent) for _ in range(8)))
    statuses = Counter(a.json()["entry"][0]["response"]["status"] for a in answers)
    assert statuses == {"201 Created": 1, "200 OK": 7}
    assert (await server.get("Patient?_summary=count")).json()["total"] == 1


async def test_a_transaction_counts_what_it_writes(server: FhirClient) -> None:
    sent = bundle(
        "transaction",
        entry("GET", "Patient?_summary=count"),
        entry("GET", "Patient?_total=estimate&_count=1"),
        entry("POST", "Patient", PATIENT),
        entry("POST", "Patient", PATIENT),
    )
    answer = await server.post("", sent)
    assert [e["resource"]["total"] for e in answer.json()["entry"][:2]] == [2, 2]


@pytest.mark.parametrize(
    "second",
    [entry("POST", "Patient", PATIENT, ifNoneExist="identifier=1"), entry("PUT", "Patient?identifier=1", PATIENT)],
)
async def test_two_entries_cannot_create_under_one_condition(server: FhirClient, second: Json) -> None:
    patient = {**PATIENT, "identifier": [{"value": "1"}]}
    first = entry("POST", "Patient", patient, ifNoneExist="identifier=1")
    answer = await server.post("", bundle("transaction", first, {**second, "resource": patient}))
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (await server.get("Patient?_summary=count")).json()["total"] == 0


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_read_answers_only_what_has_changed_since(shared_server: FhirClient, kind: str) -> None:
    made = (await shared_server.post("Patient", PATIENT)).json()
    path, since = f"Patient/{made['id']}", made["meta"]["lastUpdated"]
    sent = bundle(
        kind,
        entry("GET", path, ifModifiedSince=since),
        entry("GET", path, ifModifiedSince="2001-01-01T00:00:00+02:00"),
        entry("GET", path, ifNoneMatch='W/"1"'),
    )
    rows = (await shared_server.post("", sent)).json()["entry"]
    assert [r["response"]["status"] for r in rows] == ["304 Not Modified", "200 OK", "304 Not Modified"]
    assert ["resource" in r for r in rows] == [False, True, False]
