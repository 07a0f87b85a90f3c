"""What a client can ask of the form of an answer. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import gzip
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]
SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
BODY = (
    b'{"resourceType":"Observation","text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">x'
    b'</div>"},"status":"final","code":{"text":"x"},"valueQuantity":{"value":1.500},"note":[{"text":"a note"}]}'
)


@pytest.fixture
async def made(shared_server: FhirClient) -> str:
    """The path of an Observation with a narrative, a value of three decimals and a note."""
    answer = await shared_server.send("POST", "Observation", BODY, content_type="application/fhir+json")
    assert answer.status_code == 201, answer.text
    return f"Observation/{answer.json()['id']}"


@pytest.mark.parametrize("value", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json"])
async def test_format_names_json_over_the_accept_header(shared_server: FhirClient, made: str, value: str) -> None:
    answer = await shared_server.get(f"{made}?_format={value}", accept="application/fhir+xml")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "accept"), [("?_format=ttl", "*/*"), ("", "application/fhir+turtle"), ("", "text/html")]
)
async def test_what_is_neither_json_nor_xml_is_not_acceptable(
    shared_server: FhirClient, made: str, query: str, accept: str
) -> None:
    answer = await shared_server.get(made + query, accept=accept)
    assert answer.status_code == 406
    assert answer.json()["issue"][0]["code"] == "not-supported"
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"


async def test_one_acceptable_type_of_several_is_enough(shared_server: FhirClient, made: str) -> None:
    accept = "application/fhir+turtle;q=0.9, application/fhir+json;q=0.8"
    assert (await shared_server.get(made, accept=accept)).status_code == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+json;fhirVersion=3.0", 406),
        ("application/fhir+json;fhirVersion=5.0, application/json", 200),
        ("application/fhir+json;q=0", 406),
        ("application/fhir+json; q=0.0, text/plain", 406),
        ("application/fhir+json; q=0.1", 200),
    ],
)
async def test_the_version_and_the_weight_of_a_type_count(
    shared_server: FhirClient, made: str, accept: str, status: int
) -> None:
    assert (await shared_server.get(made, accept=accept)).status_code == status


@pytest.mark.parametrize(("version", "status"), [("4.0", 201), ("3.0", 415), ("5.0", 415)])
async def test_a_body_of_another_version_of_fhir_is_refused(
    shared_server: FhirClient, version: str, status: int
) -> None:
    content_type = f"application/fhir+json; fhirVersion={version}"
    assert (await shared_server.send("POST", "Observation", BODY, content_type=content_type)).status_code == status


async def test_a_cache_asks_again_before_it_gives_an_answer(shared_server: FhirClient, made: str) -> None:
    first = await shared_server.get(made)
    same = await shared_server.get(made, if_none_match=first.headers["etag"])
    assert [a.headers["cache-control"] for a in (first, same)] == ["private, no-cache"] * 2


async def test_pretty_keeps_the_digits(shared_server: FhirClient, made: str) -> None:
    plain, pretty = await shared_server.get(made), await shared_server.get(f"{made}?_pretty=true")
    assert b'"value":1.500}' in plain.content
    assert b'\n    "value": 1.500\n' in pretty.content
    assert pretty.json() == plain.json()


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("_summary=true", {"status", "code", "valueQuantity"}),
        ("_summary=text", {"text", "status", "code"}),
        ("_summary=data", {"status", "code", "valueQuantity", "note"}),
        ("_elements=note", {"status", "code", "note"}),
        ("_elements=Observation.note,text", {"status", "code", "note", "text"}),
    ],
)
async def test_a_part_of_a_resource_says_that_it_is_one(
    shared_server: FhirClient, made: str, query: str, members: set[str]
) -> None:
    read = (await shared_server.get(f"{made}?{query}")).json()
    assert set(read) == members | {"resourceType", "id", "meta"}
    assert read["meta"]["tag"] == [SUBSETTED]
    found = (await shared_server.get(f"Observation?_id={made.partition('/')[2]}&{query}")).json()
    assert found["entry"][0]["resource"] == read


async def test_summary_false_is_the_whole(shared_server: FhirClient, made: str) -> None:
    assert (await shared_server.get(f"{made}?_summary=false")).content == (await shared_server.get(made)).content


async def test_gzip_in_both_directions(shared_server: FhirClient) -> None:
    long = "ä" * 4000
    body = f'{{"resourceType":"Basic","code":{{"text":"{long}"}}}}'.encode()
    answer = await shared_server.send(
        "POST", "Basic", gzip.compress(body), content_type="application/fhir+json", content_encoding="gzip"
    )
    assert answer.status_code == 201
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 1000
    assert answer.json()["code"]["text"] == long
    plain = await shared_server.get(f"Basic/{answer.json()['id']}", accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()
    assert plain.headers["vary"] == "accept, accept-encoding"


async def test_what_the_client_has_is_not_sent_again(shared_server: FhirClient, made: str) -> None:
    first = await shared_server.get(made)
    same = {"if_none_match": first.headers["etag"]}, {"if_modified_since": first.headers["last-modified"]}
    for conditions in same:
        answer = await shared_server.get(made, **conditions)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"1"')
    other = {"if_none_match": 'W/"7"'}, {"if_modified_since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    for conditions in other:
        assert (await shared_server.get(made, **conditions)).content == first.content


async def test_head_is_get_without_the_body(shared_server: FhirClient, made: str) -> None:
    for path in (made, "Observation/nobody", "metadata"):
        whole, head = await shared_server.get(path), await shared_server.send("HEAD", path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("content-type", "content-length", "etag", "last-modified"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)


async def test_head_sends_no_byte_of_a_body(shared_server: FhirClient, made: str) -> None:
    """Below the HTTP client, which would drop the body of such an answer by itself."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> Json:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "HEAD", "scheme": "http",
        "path": f"/fhir/{made}", "raw_path": f"/fhir/{made}".encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"testserver")], "client": ("127.0.0.1", 1), "server": ("testserver", 80),
    }  # fmt: skip
    await shared_server.app(scope, receive, send)
    assert sent[0]["status"] == 200
    assert b"".join(m["body"] for m in sent[1:]) == b""


def allowed_origin(answer: httpx.Response) -> str | None:
    found: str | None = answer.headers.get("access-control-allow-origin")
    return found


async def test_only_pages_of_the_listed_origins_may_call() -> None:
    async with fhir_client(cors_origins="https://app.example,https://two.example") as client:
        answer = await client.get("metadata", origin="https://two.example")
        assert allowed_origin(answer) == "https://two.example"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        asked = await client.send(
            "OPTIONS", "Patient", origin="https://app.example", access_control_request_method="PUT"
        )
        assert (asked.status_code, allowed_origin(asked)) == (204, "https://app.example")
        assert "PUT" in asked.headers["access-control-allow-methods"]
        assert "If-Match" in asked.headers["access-control-allow-headers"]
        refused = await client.get("Patient/nobody", origin="https://app.example")
        assert (refused.status_code, allowed_origin(refused)) == (404, "https://app.example")
        assert allowed_origin(await client.get("metadata", origin="https://evil.example")) is None
        assert allowed_origin(await client.get("metadata")) is None


async def test_a_cache_keeps_the_answers_to_different_origins_apart() -> None:
    async with fhir_client(cors_origins="https://app.example") as client:
        for headers in ({"origin": "https://app.example"}, {"origin": "https://evil.example"}, {}):
            assert (await client.get("metadata", **headers)).headers["vary"] == "accept, accept-encoding, origin"


async def test_without_the_setting_no_other_page_may_call(shared_server: FhirClient) -> None:
    assert allowed_origin(await shared_server.get("metadata", origin="https://app.example")) is None
