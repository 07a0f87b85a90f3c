"""FHIR_REFERENCES=check: a reference leads somewhere when it is written. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
BASE = "http://testserver/fhir"


@pytest.fixture(scope="module")
async def strict() -> AsyncIterator[FhirClient]:
    """A server that checks references."""
    async with fhir_client(references="check") as client:
        yield client


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


def to(key: str) -> Json:
    return {"reference": key}


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    return made if resource is None else {**made, "resource": resource}


async def new_patient(client: FhirClient) -> str:
    """Create a patient and return its key."""
    return f"Patient/{(await client.post('Patient', {'resourceType': 'Patient'})).json()['id']}"


async def deleted_patient(client: FhirClient) -> str:
    """Return the key of a patient that was there."""
    key = await new_patient(client)
    assert (await client.delete(key)).status_code == 204
    return key


def places(answer: httpx.Response) -> list[str]:
    """Return where the missing targets are referred to, of a refusal."""
    assert answer.status_code == 422, answer.text
    issues = answer.json()["issue"]
    assert {issue["code"] for issue in issues} == {"not-found"}
    return [place for issue in issues for place in issue["expression"]]


async def count(client: FhirClient) -> int:
    return int((await client.get("Observation?_summary=count")).json()["total"])


async def test_a_create_that_leads_nowhere_is_refused_with_every_place(strict: FhirClient) -> None:
    there, gone, before = await new_patient(strict), await deleted_patient(strict), await count(strict)
    whole = observation(
        subject=to(there),
        performer=[to(there), to("Practitioner/nobody")],
        contained=[{"resourceType": "Specimen", "id": "s", "subject": to(gone)}],
        specimen=to("#s"),
        encounter=to(f"{BASE}/Encounter/none/_history/2"),
    )
    assert set(places(await strict.post("Observation", whole))) == {
        "Observation.performer[1].reference",
        "Observation.contained[0].subject.reference",
        "Observation.encounter.reference",
    }
    assert await count(strict) == before


async def test_what_is_there_or_not_of_this_server_is_taken(strict: FhirClient) -> None:
    there = await new_patient(strict)
    whole = observation(
        subject=to(f"{BASE}/{there}"),
        focus=[to(f"{there}/_history/1")],
        performer=[
            to("http://other.example/fhir/Patient/nobody"),
            {"identifier": {"value": "Patient/nobody"}, "display": '"reference":"Patient/nobody"'},
            to(f"urn:uuid:{uuid4()}"),
        ],
    )
    assert (await strict.post("Observation", whole)).status_code == 201


async def test_a_resource_may_refer_to_itself_as_it_is_created(strict: FhirClient) -> None:
    name = uuid4().hex
    body = {"resourceType": "Patient", "id": name, "link": [{"other": to(f"Patient/{name}"), "type": "seealso"}]}
    assert (await strict.put(f"Patient/{name}", body)).status_code == 201


async def test_an_update_answers_for_the_references_it_adds_alone(strict: FhirClient) -> None:
    patient = await new_patient(strict)
    made = (await strict.post("Observation", observation(subject=to(patient)))).json()
    path = f"Observation/{made['id']}"
    await strict.delete(patient)
    assert (await strict.put(path, made | {"status": "amended"})).status_code == 200
    assert places(await strict.put(path, made | {"encounter": to("Encounter/none")})) == [
        "Observation.encounter.reference"
    ]
    wrong = await strict.patch(path, {"encounter": to("Encounter/none")}, MERGE_PATCH)
    assert places(wrong) == ["Observation.encounter.reference"]
    assert (await strict.patch(path, {"status": "final"}, MERGE_PATCH)).status_code == 200


async def test_a_conditional_write_is_checked_where_it_writes(strict: FhirClient) -> None:
    mark = uuid4().hex
    lost = observation(identifier=[{"value": mark}], subject=to("Patient/nobody"))
    for answer in (
        await strict.post("Observation", lost, If_None_Exist=f"identifier={mark}"),
        await strict.put(f"Observation?identifier={mark}", lost),
    ):
        assert places(answer) == ["Observation.subject.reference"]
    await strict.post("Observation", observation(identifier=[{"value": mark}]))
    found = await strict.post("Observation", lost, If_None_Exist=f"identifier={mark}")
    assert found.status_code == 200


async def test_entries_of_a_transaction_count_as_there(strict: FhirClient) -> None:
    link, name, there = f"urn:uuid:{uuid4()}", uuid4().hex, await new_patient(strict)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Observation", observation(subject=to(link), encounter=to(f"Encounter/{name}"))),
            entry("POST", "Observation", observation(subject=to(there), performer=[to(f"Patient?_id={there[8:]}")])),
            entry("POST", "Patient", {"resourceType": "Patient"}, link),
            entry(
                "PUT",
                f"Encounter/{name}",
                {"resourceType": "Encounter", "id": name, "status": "planned", "class": {"code": "AMB"}},
            ),
        ],
    }
    assert (await strict.post("", bundle)).status_code == 200


async def test_a_transaction_that_leads_nowhere_is_refused_whole(strict: FhirClient) -> None:
    there, before = await new_patient(strict), await count(strict)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            entry("POST", "Observation", observation()),
            entry("POST", "Observation", observation(subject=to("Patient/nobody"))),
            entry("POST", "Observation", observation(subject=to(there))),
            entry("DELETE", there),
        ],
    }
    assert places(await strict.post("", bundle)) == [
        "Bundle.entry[1].resource.subject.reference",
        "Bundle.entry[2].resource.subject.reference",
    ]
    assert await count(strict) == before
    assert (await strict.get(there)).status_code == 200


async def test_an_entry_of_a_batch_is_refused_alone(strict: FhirClient) -> None:
    rows = [
        entry("POST", "Observation", observation(subject=to("Patient/nobody"))),
        entry("POST", "Observation", observation()),
    ]
    answer = (await strict.post("", {"resourceType": "Bundle", "type": "batch", "entry": rows})).json()
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["422", "201"]


async def test_by_default_references_may_come_before_their_targets(shared_server: FhirClient) -> None:
    made = await shared_server.post("Observation", observation(subject=to(f"Patient/{uuid4()}")))
    assert made.status_code == 201
