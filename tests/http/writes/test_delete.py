"""delete over HTTP. https://hl7.org/fhir/R4/http.html#delete"""

from __future__ import annotations

from uuid import uuid4

from fhir_server.testing.client import FhirClient


async def created(server: FhirClient) -> str:
    """Create a patient and return its `Patient/id`."""
    made = await server.post("Patient", {"resourceType": "Patient", "active": True})
    assert made.status_code == 201
    return f"Patient/{made.json()['id']}"


async def versions(server: FhirClient, key: str) -> int:
    """Return how many versions the history has."""
    return int((await server.get(f"{key}/_history")).json()["total"])


async def test_a_delete_answers_without_a_body(shared_server: FhirClient) -> None:
    deleted = await shared_server.delete(await created(shared_server))
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert deleted.headers["etag"] == 'W/"2"'


async def test_what_was_deleted_is_gone_and_its_version_is_named(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    await shared_server.delete(key)
    gone = await shared_server.get(key)
    assert gone.status_code == 410
    assert gone.headers["etag"] == 'W/"2"'
    assert [issue["code"] for issue in gone.json()["issue"]] == ["deleted"]


async def test_deleting_again_succeeds_and_makes_no_version(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    await shared_server.delete(key)
    again = await shared_server.delete(key)
    assert (again.status_code, again.headers["etag"]) == (204, 'W/"2"')
    assert await versions(shared_server, key) == 2


async def test_deleting_what_never_was_succeeds_and_writes_nothing(shared_server: FhirClient) -> None:
    key = f"Patient/never-{uuid4()}"
    deleted = await shared_server.delete(key)
    assert deleted.status_code == 204
    assert "etag" not in deleted.headers
    assert (await shared_server.get(key)).status_code == 404
    assert (await shared_server.get(f"{key}/_history")).status_code == 404


async def test_versions_before_the_deletion_can_be_read(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    await shared_server.delete(key)
    old = await shared_server.get(f"{key}/_history/1")
    assert (old.status_code, old.headers["etag"]) == (200, 'W/"1"')
    assert old.json()["active"] is True
    assert (await shared_server.get(f"{key}/_history/2")).status_code == 410


async def test_what_was_deleted_is_not_found_by_a_search(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    search = f"Patient?_id={key.partition('/')[2]}"
    assert len((await shared_server.get(search)).json()["entry"]) == 1
    await shared_server.delete(key)
    assert "entry" not in (await shared_server.get(search)).json()


async def test_if_match_of_the_current_version_deletes(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    assert (await shared_server.delete(key, If_Match='W/"1"')).status_code == 204
    assert (await shared_server.get(key)).status_code == 410


async def test_if_match_of_another_version_deletes_nothing(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    refused = await shared_server.delete(key, If_Match='W/"2"')
    assert refused.status_code == 412
    assert [issue["code"] for issue in refused.json()["issue"]] == ["conflict"]
    assert (await shared_server.get(key)).status_code == 200
    assert await versions(shared_server, key) == 1


async def test_an_if_match_that_is_no_version_deletes_nothing(shared_server: FhirClient) -> None:
    key = await created(shared_server)
    refused = await shared_server.delete(key, If_Match="latest")
    assert refused.status_code == 400
    assert (await shared_server.get(key)).status_code == 200
