"""batch: every entry for itself. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


def entry(method: str, url: str, resource: Json | None = None, **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else {**made, "resource": resource}


async def batch(client: FhirClient, *entries: Any) -> list[Json]:
    """Send a batch and return the entries of the response."""
    answer = await client.post("", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["resourceType"], answer.json()["type"]) == ("Bundle", "batch-response")
    rows: list[Json] = answer.json().get("entry", [])
    assert len(rows) == len(entries)
    return rows


def statuses(rows: list[Json]) -> list[str]:
    return [row["response"]["status"] for row in rows]


async def test_reads_and_writes_each_have_their_status_in_the_order_asked(shared_server: FhirClient) -> None:
    name = uuid4().hex
    patient = {"resourceType": "Patient", "id": name}
    rows = await batch(
        shared_server,
        entry("GET", f"Patient/{name}"),
        entry("PUT", f"Patient/{name}", patient),
        entry("GET", f"Patient/{name}"),
        entry("PUT", f"Patient/{name}", {**patient, "active": True}),
        entry("GET", f"Patient?_id={name}"),
        entry("GET", f"Patient/{name}/_history/1"),
        entry("POST", "Patient", {"resourceType": "Patient"}),
        entry("DELETE", f"Patient/{name}"),
        entry("GET", f"Patient/{name}"),
    )
    assert statuses(rows) == [
        "404 Not Found", "201 Created", "200 OK", "200 OK", "200 OK", "200 OK", "201 Created", "204 No Content",
        "410 Gone",
    ]  # fmt: skip
    assert rows[1]["response"]["etag"] == 'W/"1"'
    assert rows[1]["response"]["location"] == f"http://testserver/fhir/Patient/{name}/_history/1"
    assert rows[1]["response"]["lastModified"] == rows[1]["resource"]["meta"]["lastUpdated"]
    assert rows[3]["response"]["etag"] == 'W/"2"'
    assert rows[4]["resource"]["entry"][0]["resource"]["active"] is True
    assert "active" not in rows[5]["resource"]
    assert (await shared_server.get(f"Patient/{rows[6]['resource']['id']}")).status_code == 200


async def test_what_fails_does_not_stop_the_others(shared_server: FhirClient) -> None:
    first, last = uuid4().hex, uuid4().hex
    rows = await batch(
        shared_server,
        entry("PUT", f"Patient/{first}", {"resourceType": "Patient", "id": first}),
        entry("POST", "Patient", {"resourceType": "Patient", "gender": "blue"}),
        entry("POST", "Observation", {"resourceType": "Patient"}),
        entry("GET", "Rock/1"),
        entry("POST", "Patient"),
        entry("BREW", "Patient"),
        {"resource": {"resourceType": "Patient"}},
        "nonsense",
        entry("POST", "", {"resourceType": "Bundle", "type": "batch"}),
        entry("PUT", f"Patient/{first}", {"resourceType": "Patient", "id": first}, ifMatch='W/"9"'),
        entry("GET", "Patient?_count=x"),
        entry("PUT", f"Patient/{last}", {"resourceType": "Patient", "id": last}),
    )
    assert [s[:3] for s in statuses(rows)] == [
        "201", "422", "400", "404", "400", "400", "400", "400", "400", "412", "400", "201",
    ]  # fmt: skip
    for row in rows[1:-1]:
        assert row["response"]["outcome"]["resourceType"] == "OperationOutcome"
        assert row["response"]["outcome"]["issue"][0]["severity"] == "error"
        assert "resource" not in row
    assert rows[5]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[5].request.method"]
    for name in (first, last):
        assert (await shared_server.get(f"Patient/{name}")).headers["etag"] == 'W/"1"'


async def test_conditions_of_entries_hold_as_those_of_requests(shared_server: FhirClient) -> None:
    mark = uuid4().hex
    patient = {"resourceType": "Patient", "identifier": [{"value": mark}]}
    condition = f"identifier={mark}"
    rows = await batch(
        shared_server,
        entry("POST", "Patient", patient, ifNoneExist=condition),
        entry("POST", "Patient", patient, ifNoneExist=condition),
        entry("PUT", f"Patient?{condition}", {**patient, "active": True}),
        entry("DELETE", f"Patient?{condition}"),
    )
    assert statuses(rows) == ["201 Created", "200 OK", "200 OK", "204 No Content"]
    assert rows[2]["resource"]["id"] == rows[1]["resource"]["id"] == rows[0]["resource"]["id"]
    assert (await shared_server.get(f"Patient?{condition}&_summary=count")).json()["total"] == 0


async def test_an_empty_batch_is_answered_empty(shared_server: FhirClient) -> None:
    assert await batch(shared_server) == []


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"resourceType": "Patient"}, "Bundle"),
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.type"),
        ({"resourceType": "Bundle"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle.entry"),
    ],
)
async def test_only_a_bundle_of_the_right_kind_can_be_run(
    shared_server: FhirClient, body: Json, expression: str
) -> None:
    answer = await shared_server.post("", body)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [expression]
