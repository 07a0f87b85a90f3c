"""What makes no sense gets an OperationOutcome, and leaves nothing behind. https://hl7.org/fhir/R4/http.html#2.21.0.4"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client

LIMIT = 4096
JSON = "application/fhir+json"
PATIENT = b'{"resourceType":"Patient"}'


@pytest.fixture(scope="module")
async def small_server() -> AsyncIterator[FhirClient]:
    """An empty server that takes bodies of 4 kB."""
    async with fhir_client(max_body_bytes=str(LIMIT)) as client:
        yield client


async def refused(client: FhirClient, answer: httpx.Response, status: int, code: str) -> None:
    """Check that the answer is that refusal and that the server holds nothing."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert (body["issue"][0]["severity"], body["issue"][0]["code"]) == ("error", code)
    assert body["issue"][0]["diagnostics"]
    history = await client.get("_history")
    assert (history.status_code, history.json()["total"]) == (200, 0)


def nested(levels: int) -> bytes:
    """Return a valid Patient whose extensions make exactly that many levels of brackets."""
    leaf = '"valueCoding":{"code":"x"}' if levels % 2 == 0 else '"valueCode":"x"'
    pairs = (levels - 3) // 2
    opened = '{"url":"http://example.org/x","extension":['
    text = '{"resourceType":"Patient","extension":[' + opened * pairs + '{"url":"http://example.org/y",' + leaf + "}"
    return (text + "]}" * (pairs + 1)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<Patient xmlns='http://hl7.org/fhir'/>",
        PATIENT[:-1],
        PATIENT + PATIENT,
        b'{"resourceType":"Patient","active":NaN}',
        b'{"resourceType":"Patient","active":true,"active":false}',
        b'{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}',
        b'{"resourceType":"Patient","gender":"\xff"}',
        b'{"resourceType":"Patient","active" : true, "active" : true}',
        nested(65),
        nested(66),
        b"[" * 2000,
        b"\x00" * 16,
    ],
)
async def test_a_body_that_is_not_acceptable_json(small_server: FhirClient, body: bytes) -> None:
    answer = await small_server.send("PUT", "Patient/p", body, content_type=JSON)
    await refused(small_server, answer, 400, "structure")


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b"{}", b'"Patient"', b'{"resourceType":"Observation"}'])
async def test_json_that_is_no_such_resource(small_server: FhirClient, body: bytes) -> None:
    await refused(small_server, await small_server.send("POST", "Patient", body, content_type=JSON), 400, "invalid")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+turtle",
        "application/xml-patch+xml",
        "text/plain",
        "application/octet-stream",
    ],
)
async def test_a_format_the_server_does_not_read(small_server: FhirClient, content_type: str) -> None:
    answer = await small_server.send("POST", "Patient", PATIENT, content_type=content_type)
    await refused(small_server, answer, 415, "not-supported")


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '"latin1"'])
async def test_a_charset_that_json_does_not_have(small_server: FhirClient, charset: str) -> None:
    answer = await small_server.send("POST", "Patient", PATIENT, content_type=f"{JSON}; charset={charset}")
    await refused(small_server, answer, 400, "structure")


@pytest.mark.parametrize(("method", "path"), [("PUT", "Patient/p"), ("PATCH", "Patient/p"), ("POST", "Patient")])
async def test_a_form_is_no_resource(small_server: FhirClient, method: str, path: str) -> None:
    form = "application/x-www-form-urlencoded"
    answer = await small_server.send(method, path, b"gender=male", content_type=form)
    await refused(small_server, answer, 415, "not-supported")


async def test_a_search_by_post_takes_a_form_alone(small_server: FhirClient) -> None:
    answer = await small_server.send("POST", "Patient/_search", b'{"gender":"male"}', content_type=JSON)
    await refused(small_server, answer, 415, "not-supported")
    assert (await small_server.send("POST", "Patient/_search")).status_code == 200


async def test_a_body_that_is_too_large_as_sent_or_inflated(small_server: FhirClient) -> None:
    large = b'{"resourceType":"Patient","language":"' + b"x" * LIMIT + b'"}'
    answer = await small_server.send("POST", "Patient", large, content_type=JSON)
    await refused(small_server, answer, 413, "too-long")
    packed = gzip.compress(large)
    assert len(packed) < LIMIT
    answer = await small_server.send("POST", "Patient", packed, content_type=JSON, content_encoding="gzip")
    await refused(small_server, answer, 413, "too-long")


async def test_gzip_that_breaks_off_or_is_none(small_server: FhirClient) -> None:
    packed = gzip.compress(PATIENT)
    for body in (packed[:-9], packed[: len(packed) // 2], PATIENT):
        answer = await small_server.send("POST", "Patient", body, content_type=JSON, content_encoding="gzip")
        await refused(small_server, answer, 400, "structure")
    answer = await small_server.send("POST", "Patient", PATIENT, content_type=JSON, content_encoding="br")
    await refused(small_server, answer, 415, "not-supported")


@pytest.mark.parametrize("path", ["Rock", "Rock/1", "patient", "Rock/1/_history", "a/b/c/d/e"])
async def test_a_type_that_does_not_exist(small_server: FhirClient, path: str) -> None:
    await refused(small_server, await small_server.get(path), 404, "not-found")
    await refused(small_server, await small_server.post(path, {"resourceType": "Rock"}), 404, "not-found")


@pytest.mark.parametrize("name", ["a_b", "a%20b", "x" * 65, "caf%C3%A9", "a;b"])
async def test_an_id_that_cannot_be_one(small_server: FhirClient, name: str) -> None:
    await refused(small_server, await small_server.get(f"Patient/{name}"), 400, "invalid")
    body = {"resourceType": "Patient", "id": name}
    await refused(small_server, await small_server.put(f"Patient/{name}", body), 400, "invalid")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "", "GET, POST, HEAD"),
        ("DELETE", "metadata", "GET, HEAD"),
        ("POST", "Patient/p", "GET, PUT, PATCH, DELETE, HEAD"),
        ("DELETE", "Patient/p/_history", "GET, HEAD"),
        ("PUT", "Patient/p/_history/1", "GET, HEAD"),
        ("PUT", "Patient/_search", "POST"),
        ("BREW", "Patient/p", "GET, PUT, PATCH, DELETE, HEAD"),
    ],
)
async def test_a_method_that_is_not_for_the_path(
    small_server: FhirClient, method: str, path: str, allowed: str
) -> None:
    answer = await small_server.send(method, path, PATIENT, content_type=JSON)
    assert answer.headers.get("allow") == allowed
    await refused(small_server, answer, 405, "not-supported")


async def test_the_deepest_and_the_largest_body_allowed_are_taken() -> None:
    async with fhir_client(max_body_bytes=str(LIMIT)) as client:
        for body in (nested(63), nested(64), PATIENT.ljust(LIMIT)):
            answer = await client.send("POST", "Patient", body, content_type=JSON)
            assert answer.status_code == 201, answer.text
