"""Binary in its own format. https://hl7.org/fhir/R4/binary.html#rest"""

from __future__ import annotations

from base64 import b64encode
from uuid import uuid4

import pytest

from fhir_server.testing.client import FhirClient

PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff"
DATA = b64encode(PICTURE).decode()
JSON = "application/fhir+json; charset=utf-8"


async def uploaded(client: FhirClient, content_type: str = "image/png", content: bytes = PICTURE) -> str:
    """Store bytes as they are and return the path of the Binary."""
    made = await client.send("POST", "Binary", content, content_type=content_type)
    assert made.status_code == 201, made.text
    return f"Binary/{made.json()['id']}"


async def test_bytes_are_stored_and_come_back_as_they_were(shared_server: FhirClient) -> None:
    path = await uploaded(shared_server)
    resource = (await shared_server.get(path)).json()
    assert (resource["contentType"], resource["data"]) == ("image/png", DATA)
    for accept in ("image/png", "image/*", "text/html, image/png;q=0.5", "text/html,*/*;q=0.8"):
        for shown in (path, f"{path}/_history/1"):
            answer = await shared_server.get(shown, accept=accept)
            assert (answer.status_code, answer.content) == (200, PICTURE)
            assert (answer.headers["content-type"], answer.headers["etag"]) == ("image/png", 'W/"1"')
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "sandbox"
            assert "last-modified" in answer.headers


@pytest.mark.parametrize(
    "accept", ["*/*", "application/fhir+json", "image/png, application/fhir+json", "application/json"]
)
async def test_who_asks_for_json_or_for_nothing_in_particular_gets_the_resource(
    shared_server: FhirClient, accept: str
) -> None:
    answer = await shared_server.get(await uploaded(shared_server), accept=accept)
    assert (answer.headers["content-type"], answer.json()["data"]) == (JSON, DATA)


async def test_format_wins_over_accept(shared_server: FhirClient) -> None:
    answer = await shared_server.get(f"{await uploaded(shared_server)}?_format=json", accept="image/png")
    assert answer.json()["data"] == DATA


@pytest.mark.parametrize("accept", ["text/plain", "application/xml", "image/png;q=0"])
async def test_another_format_than_it_has_is_not_acceptable(shared_server: FhirClient, accept: str) -> None:
    answer = await shared_server.get(await uploaded(shared_server), accept=accept)
    assert (answer.status_code, "OperationOutcome" in answer.text) == (406, True)


async def test_an_upload_under_an_id_makes_the_next_version(shared_server: FhirClient) -> None:
    path = f"Binary/{uuid4()}"
    for version, content in ((1, b"one"), (2, b"two")):
        answer = await shared_server.send("PUT", path, content, content_type="text/plain; charset=utf-8")
        assert (answer.status_code, answer.headers["etag"]) == (201 if version == 1 else 200, f'W/"{version}"')
    shown = await shared_server.get(path, accept="text/plain")
    assert (shown.content, shown.headers["content-type"]) == (b"two", "text/plain; charset=utf-8")
    same = await shared_server.get(path, accept="text/plain", if_none_match='W/"2"')
    assert (same.status_code, same.content) == (304, b"")
    head = await shared_server.send("HEAD", path, accept="text/plain")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "3")


async def test_a_security_context_goes_into_the_resource(shared_server: FhirClient) -> None:
    headers = {"content_type": "application/pdf", "x_security_context": "Patient/p1"}
    made = await shared_server.send("POST", "Binary", b"%PDF", **headers)
    assert made.json()["securityContext"] == {"reference": "Patient/p1"}
    wrong = await shared_server.send("POST", "Binary", b"%PDF", **(headers | {"x_security_context": "nobody"}))
    assert wrong.status_code == 422


async def test_resources_are_read_as_such_in_json_and_in_xml(shared_server: FhirClient) -> None:
    resource = {"resourceType": "Binary", "contentType": "image/png", "data": DATA}
    made = await shared_server.post("Binary", resource)
    assert (made.status_code, made.json()["data"]) == (201, DATA)
    inner = f'<contentType value="image/png"/><data value="{DATA}"/>'
    body = f'<Binary xmlns="http://hl7.org/fhir">{inner}</Binary>'.encode()
    xml = await shared_server.send("POST", "Binary", body, content_type="application/fhir+xml")
    assert (xml.status_code, xml.json()["data"]) == (201, DATA)
    shown = await shared_server.get(f"Binary/{xml.json()['id']}", accept="application/fhir+xml")
    assert shown.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert inner in shown.text
    document = await shared_server.send("POST", "Binary", b"<ClinicalDocument/>", content_type="application/xml")
    shown = await shared_server.get(f"Binary/{document.json()['id']}", accept="application/xml")
    assert (shown.content, shown.headers["content-type"]) == (b"<ClinicalDocument/>", "application/xml")
    other = await shared_server.send("POST", "Patient", PICTURE, content_type="image/png")
    assert other.status_code == 415


async def test_a_binary_without_content_is_empty(shared_server: FhirClient) -> None:
    empty = (await shared_server.post("Binary", {"resourceType": "Binary", "contentType": "image/png"})).json()["id"]
    assert (await shared_server.get(f"Binary/{empty}", accept="image/png")).content == b""
