"""create, update, patch and delete by criteria over HTTP. https://hl7.org/fhir/R4/http.html#cond-update"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]

SYSTEM = "urn:example:writes"
MERGE_PATCH = "application/merge-patch+json"
# Every conditional interaction, to be refused in the same way.
INTERACTIONS = ("create", "update", "patch", "delete")


def patient(value: str, **more: Any) -> Json:
    """Return a patient with that identifier."""
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **more}


def by(value: str) -> str:
    """Return the criteria that match patients with that identifier."""
    return f"identifier={SYSTEM}|{value}"


def new_value() -> str:
    """Return an identifier nobody has used."""
    return uuid4().hex


async def found(server: FhirClient, value: str) -> list[Json]:
    """Return the current patients with that identifier, by id."""
    entries = (await server.get(f"Patient?{by(value)}")).json().get("entry", [])
    return sorted((e["resource"] for e in entries), key=lambda r: str(r["id"]))


async def with_matches(server: FhirClient, count: int) -> str:
    """Create that many patients with one identifier, and return it."""
    value = new_value()
    for _ in range(count):
        assert (await server.post("Patient", patient(value))).status_code == 201
    assert len(await found(server, value)) == count
    return value


async def perform(server: FhirClient, interaction: str, criteria: str, value: str) -> httpx.Response:
    """Do one conditional interaction that would change what matches."""
    if interaction == "create":
        return await server.post("Patient", patient(value, active=True), If_None_Exist=criteria)
    if interaction == "update":
        return await server.put(f"Patient?{criteria}", patient(value, active=True))
    if interaction == "patch":
        return await server.patch(f"Patient?{criteria}", {"active": True}, MERGE_PATCH)
    return await server.delete(f"Patient?{criteria}")


def code(answer: httpx.Response) -> str:
    """Return the code of the one issue of an OperationOutcome."""
    (issue,) = answer.json()["issue"]
    return str(issue["code"])


@pytest.mark.parametrize("interaction", INTERACTIONS)
async def test_criteria_that_match_several_are_refused(shared_server: FhirClient, interaction: str) -> None:
    value = await with_matches(shared_server, 2)
    before = await found(shared_server, value)
    refused = await perform(shared_server, interaction, by(value), value)
    assert (refused.status_code, code(refused)) == (412, "multiple-matches")
    assert await found(shared_server, value) == before


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("criteria", ["shoe-size=44", "shoe-size=44&{by}", "{by}&identifier:loud=x"])
async def test_criteria_that_are_not_understood_whole_are_refused(
    shared_server: FhirClient, interaction: str, criteria: str
) -> None:
    value = await with_matches(shared_server, 1)
    before = await found(shared_server, value)
    refused = await perform(shared_server, interaction, criteria.format(by=by(value)), value)
    assert refused.status_code == 400
    assert refused.json()["resourceType"] == "OperationOutcome"
    assert await found(shared_server, value) == before


@pytest.mark.parametrize("interaction", ["update", "patch", "delete"])
@pytest.mark.parametrize("criteria", ["", "_pretty=false"])
async def test_no_criteria_at_all_are_refused(shared_server: FhirClient, interaction: str, criteria: str) -> None:
    value = await with_matches(shared_server, 1)
    before = await found(shared_server, value)
    refused = await perform(shared_server, interaction, criteria, value)
    assert refused.status_code == 400
    assert await found(shared_server, value) == before


async def test_create_without_a_match_creates(shared_server: FhirClient) -> None:
    value = new_value()
    made = await shared_server.post("Patient", patient(value), If_None_Exist=by(value))
    assert (made.status_code, made.headers["etag"]) == (201, 'W/"1"')
    assert made.headers["location"] == f"http://testserver/fhir/Patient/{made.json()['id']}/_history/1"
    assert await found(shared_server, value) == [made.json()]


async def test_create_with_one_match_answers_with_it_and_writes_nothing(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    before = await found(shared_server, value)
    answer = await shared_server.post("Patient", patient(value, active=True), If_None_Exist=by(value))
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    assert answer.headers["location"] == f"http://testserver/fhir/Patient/{before[0]['id']}/_history/1"
    assert [answer.json()] == before == await found(shared_server, value)


async def test_create_takes_criteria_with_a_question_mark(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    answer = await shared_server.post("Patient", patient(value), If_None_Exist=f"?{by(value)}")
    assert answer.status_code == 200
    assert len(await found(shared_server, value)) == 1


async def test_create_after_the_match_was_deleted_creates_again(shared_server: FhirClient) -> None:
    value = new_value()
    first = await shared_server.post("Patient", patient(value), If_None_Exist=by(value))
    await shared_server.delete(f"Patient/{first.json()['id']}")
    second = await shared_server.post("Patient", patient(value), If_None_Exist=by(value))
    assert second.status_code == 201
    assert await found(shared_server, value) == [second.json()]


async def test_an_invalid_conditional_create_writes_nothing(shared_server: FhirClient) -> None:
    value = new_value()
    refused = await shared_server.post("Patient", patient(value, birthDate="soon"), If_None_Exist=by(value))
    assert refused.status_code == 422
    assert await found(shared_server, value) == []


async def test_update_without_a_match_creates_under_a_new_id(shared_server: FhirClient) -> None:
    value = new_value()
    made = await shared_server.put(f"Patient?{by(value)}", patient(value))
    assert (made.status_code, made.headers["etag"]) == (201, 'W/"1"')
    assert await found(shared_server, value) == [made.json()]


async def test_update_without_a_match_creates_under_the_id_of_the_body(shared_server: FhirClient) -> None:
    value = new_value()
    made = await shared_server.put(f"Patient?{by(value)}", patient(value, id=f"c-{value}"))
    assert (made.status_code, made.json()["id"]) == (201, f"c-{value}")
    assert await found(shared_server, value) == [made.json()]


async def test_update_without_a_match_and_with_the_id_of_another_resource_is_refused(shared_server: FhirClient) -> None:
    value, other = new_value(), f"c-{new_value()}"
    before = await shared_server.put(f"Patient/{other}", patient(new_value(), id=other))
    refused = await shared_server.put(f"Patient?{by(value)}", patient(value, id=other))
    assert (refused.status_code, code(refused)) == (409, "conflict")
    assert (await shared_server.get(f"Patient/{other}")).json() == before.json()
    assert await found(shared_server, value) == []


async def test_update_without_a_match_and_with_the_id_of_a_deleted_resource_brings_it_back(
    shared_server: FhirClient,
) -> None:
    value, other = new_value(), f"c-{new_value()}"
    await shared_server.put(f"Patient/{other}", patient(new_value(), id=other))
    await shared_server.delete(f"Patient/{other}")
    made = await shared_server.put(f"Patient?{by(value)}", patient(value, id=other))
    assert (made.status_code, made.headers["etag"]) == (201, 'W/"3"')
    assert await found(shared_server, value) == [made.json()]


async def test_update_with_one_match_makes_its_next_version(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    (before,) = await found(shared_server, value)
    updated = await shared_server.put(f"Patient?{by(value)}", patient(value, active=True))
    assert (updated.status_code, updated.headers["etag"]) == (200, 'W/"2"')
    assert updated.json()["id"] == before["id"]
    assert await found(shared_server, value) == [updated.json()]


async def test_update_with_one_match_and_another_id_in_the_body_is_refused(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    before = await found(shared_server, value)
    refused = await shared_server.put(f"Patient?{by(value)}", patient(value, id=f"c-{value}", active=True))
    assert (refused.status_code, code(refused)) == (400, "invalid")
    assert await found(shared_server, value) == before
    assert (await shared_server.get(f"Patient/c-{value}")).status_code == 404


async def test_update_with_one_match_honours_if_match(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    before = await found(shared_server, value)
    refused = await shared_server.put(f"Patient?{by(value)}", patient(value, active=True), If_Match='W/"5"')
    assert (refused.status_code, code(refused)) == (412, "conflict")
    assert await found(shared_server, value) == before


async def test_update_without_a_match_and_with_if_match_creates_nothing(shared_server: FhirClient) -> None:
    value = new_value()
    refused = await shared_server.put(f"Patient?{by(value)}", patient(value), If_Match='W/"1"')
    assert (refused.status_code, code(refused)) == (412, "conflict")
    assert await found(shared_server, value) == []


async def test_patch_without_a_match_is_not_found(shared_server: FhirClient) -> None:
    value = new_value()
    refused = await shared_server.patch(f"Patient?{by(value)}", {"active": True}, MERGE_PATCH)
    assert (refused.status_code, code(refused)) == (404, "not-found")
    assert await found(shared_server, value) == []


async def test_patch_with_one_match_makes_its_next_version(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    patched = await shared_server.patch(f"Patient?{by(value)}", {"active": True}, MERGE_PATCH)
    assert (patched.status_code, patched.headers["etag"]) == (200, 'W/"2"')
    assert patched.json()["active"] is True
    assert await found(shared_server, value) == [patched.json()]


async def test_delete_without_a_match_succeeds(shared_server: FhirClient) -> None:
    deleted = await shared_server.delete(f"Patient?{by(new_value())}")
    assert (deleted.status_code, deleted.content) == (204, b"")


async def test_delete_with_one_match_deletes_it(shared_server: FhirClient) -> None:
    value = await with_matches(shared_server, 1)
    (before,) = await found(shared_server, value)
    deleted = await shared_server.delete(f"Patient?{by(value)}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await shared_server.get(f"Patient/{before['id']}")).status_code == 410
    assert await found(shared_server, value) == []
