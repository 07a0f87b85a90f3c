"""patch over HTTP: JSON Patch, JSON Merge Patch, FHIRPath Patch. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FHIR_JSON = "application/fhir+json"


def fhirpath_patch(kind: str, **parts: Json) -> Json:
    """Return a FHIRPath Patch of one operation; parts are written as `path={"valueString": ...}`."""
    rows = [{"name": "type", "valueCode": kind}, *({"name": name} | value for name, value in parts.items())]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": rows}]}


# The same change, active becomes false, as each format says it.
DEACTIVATE = [
    pytest.param(JSON_PATCH, [{"op": "replace", "path": "/active", "value": False}], id="json-patch"),
    pytest.param(MERGE_PATCH, {"active": False}, id="merge-patch"),
    pytest.param(
        FHIR_JSON,
        fhirpath_patch("replace", path={"valueString": "Patient.active"}, value={"valueBoolean": False}),
        id="fhirpath-patch",
    ),
]
# The same mistake: a birth date that is no date.
INVALID = [
    pytest.param(JSON_PATCH, [{"op": "add", "path": "/birthDate", "value": "soon"}], id="json-patch"),
    pytest.param(MERGE_PATCH, {"birthDate": "soon"}, id="merge-patch"),
    pytest.param(
        FHIR_JSON,
        fhirpath_patch(
            "add", path={"valueString": "Patient"}, name={"valueString": "birthDate"}, value={"valueDate": "soon"}
        ),
        id="fhirpath-patch",
    ),
]
OTHER_ID = [
    pytest.param(JSON_PATCH, [{"op": "replace", "path": "/id", "value": "another"}], id="json-patch"),
    pytest.param(MERGE_PATCH, {"id": "another"}, id="merge-patch"),
    pytest.param(
        FHIR_JSON,
        fhirpath_patch("replace", path={"valueString": "Patient.id"}, value={"valueId": "another"}),
        id="fhirpath-patch",
    ),
]


async def created(server: FhirClient) -> httpx.Response:
    """Create the patient that the patches are about."""
    made = await server.post("Patient", {"resourceType": "Patient", "active": True, "name": [{"family": "One"}]})
    assert made.status_code == 201
    return made


def key_of(made: httpx.Response) -> str:
    """Return `Patient/id`."""
    return f"Patient/{made.json()['id']}"


def code(answer: httpx.Response) -> str:
    """Return the code of the one issue of an OperationOutcome."""
    (issue,) = answer.json()["issue"]
    return str(issue["code"])


async def assert_untouched(server: FhirClient, made: httpx.Response) -> None:
    """Assert that the first version is current, byte for byte, and the only one."""
    assert (await server.get(key_of(made))).content == made.content
    assert (await server.get(f"{key_of(made)}/_history")).json()["total"] == 1


@pytest.mark.parametrize(("content_type", "body"), DEACTIVATE)
async def test_a_patch_makes_the_next_version(shared_server: FhirClient, content_type: str, body: Any) -> None:
    key = key_of(await created(shared_server))
    patched = await shared_server.patch(key, body, content_type)
    assert (patched.status_code, patched.headers["etag"]) == (200, 'W/"2"')
    assert patched.headers["location"] == f"http://testserver/fhir/{key}/_history/2"
    changed = patched.json()
    assert (changed["active"], changed["name"]) == (False, [{"family": "One"}])
    assert changed["meta"]["versionId"] == "2"
    assert (await shared_server.get(key)).content == patched.content
    assert (await shared_server.get(f"{key}/_history/1")).json()["active"] is True


@pytest.mark.parametrize(("content_type", "body"), DEACTIVATE)
async def test_a_patch_that_changes_nothing_makes_no_version(
    shared_server: FhirClient, content_type: str, body: Any
) -> None:
    key = key_of(await created(shared_server))
    await shared_server.patch(key, body, content_type)
    again = await shared_server.patch(key, body, content_type)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"2"')


async def test_a_merge_patch_removes_with_null(shared_server: FhirClient) -> None:
    key = key_of(await created(shared_server))
    patched = await shared_server.patch(key, {"active": None}, MERGE_PATCH)
    assert patched.status_code == 200
    assert "active" not in patched.json()


async def test_a_fhirpath_patch_deletes(shared_server: FhirClient) -> None:
    key = key_of(await created(shared_server))
    body = fhirpath_patch("delete", path={"valueString": "Patient.active"})
    patched = await shared_server.patch(key, body, FHIR_JSON)
    assert patched.status_code == 200
    assert "active" not in patched.json()


@pytest.mark.parametrize(("content_type", "body"), DEACTIVATE)
async def test_if_match_of_the_current_version_patches(shared_server: FhirClient, content_type: str, body: Any) -> None:
    key = key_of(await created(shared_server))
    patched = await shared_server.patch(key, body, content_type, If_Match='W/"1"')
    assert (patched.status_code, patched.headers["etag"]) == (200, 'W/"2"')


@pytest.mark.parametrize(("etag", "status"), [('W/"2"', 412), ("latest", 400)])
async def test_if_match_of_anything_else_patches_nothing(shared_server: FhirClient, etag: str, status: int) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), {"active": False}, MERGE_PATCH, If_Match=etag)
    assert refused.status_code == status
    await assert_untouched(shared_server, made)


@pytest.mark.parametrize(("content_type", "body"), INVALID)
async def test_a_patch_that_breaks_the_resource_is_refused(
    shared_server: FhirClient, content_type: str, body: Any
) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), body, content_type)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Patient.birthDate"]
    await assert_untouched(shared_server, made)


async def test_a_patch_is_done_whole_or_not_at_all(shared_server: FhirClient) -> None:
    made = await created(shared_server)
    body = [{"op": "replace", "path": "/active", "value": False}, {"op": "remove", "path": "/photo"}]
    refused = await shared_server.patch(key_of(made), body, JSON_PATCH)
    assert (refused.status_code, code(refused)) == (422, "not-found")
    await assert_untouched(shared_server, made)


async def test_a_test_that_fails_refuses_the_patch(shared_server: FhirClient) -> None:
    made = await created(shared_server)
    test = {"op": "test", "path": "/name/0/family", "value": "Two"}
    body = [{"op": "replace", "path": "/active", "value": False}, test]
    refused = await shared_server.patch(key_of(made), body, JSON_PATCH)
    assert refused.status_code == 422
    assert refused.json()["resourceType"] == "OperationOutcome"
    await assert_untouched(shared_server, made)


async def test_a_test_that_holds_lets_the_patch_through(shared_server: FhirClient) -> None:
    made = await created(shared_server)
    test = {"op": "test", "path": "/name/0/family", "value": "One"}
    body = [test, {"op": "replace", "path": "/active", "value": False}]
    patched = await shared_server.patch(key_of(made), body, JSON_PATCH)
    assert (patched.status_code, patched.json()["active"]) == (200, False)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON_PATCH, {"active": False}), (MERGE_PATCH, [1]), (FHIR_JSON, {"resourceType": "Patient"})],
)
async def test_a_body_that_is_no_patch_is_refused(shared_server: FhirClient, content_type: str, body: Any) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), body, content_type)
    assert (refused.status_code, code(refused)) == (422, "structure")
    await assert_untouched(shared_server, made)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/xml-patch+xml"])
async def test_another_media_type_is_refused(shared_server: FhirClient, content_type: str) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), {"active": False}, content_type)
    assert (refused.status_code, code(refused)) == (415, "not-supported")
    await assert_untouched(shared_server, made)


@pytest.mark.parametrize(("content_type", "body"), OTHER_ID)
async def test_a_patch_cannot_change_the_id(shared_server: FhirClient, content_type: str, body: Any) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), body, content_type)
    assert (refused.status_code, code(refused)) == (400, "invalid")
    assert refused.json()["issue"][0]["expression"] == ["Patient.id"]
    await assert_untouched(shared_server, made)


async def test_a_patch_cannot_change_the_type(shared_server: FhirClient) -> None:
    made = await created(shared_server)
    refused = await shared_server.patch(key_of(made), {"resourceType": "Practitioner"}, MERGE_PATCH)
    assert (refused.status_code, code(refused)) == (400, "invalid")
    await assert_untouched(shared_server, made)


async def test_what_is_not_there_cannot_be_patched(shared_server: FhirClient) -> None:
    refused = await shared_server.patch(f"Patient/none-{uuid4()}", {"active": False}, MERGE_PATCH)
    assert (refused.status_code, code(refused)) == (404, "not-found")


async def test_what_was_deleted_cannot_be_patched(shared_server: FhirClient) -> None:
    key = key_of(await created(shared_server))
    await shared_server.delete(key)
    refused = await shared_server.patch(key, {"active": False}, MERGE_PATCH)
    assert (refused.status_code, code(refused)) == (410, "deleted")
