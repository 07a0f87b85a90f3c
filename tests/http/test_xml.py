"""FHIR XML over the wire. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.fhir.xml import decode, encode
from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
FHIR_XML = "application/fhir+xml"
XML = f"{FHIR_XML}; charset=utf-8"
JSON = "application/fhir+json; charset=utf-8"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>ä &amp; b<br/></p></div>'
ELEMENTS = (
    '<text><status value="generated"/>' + DIV + '</text><status value="final"/><code><text value="a &lt; b"/></code>'
    '<subject id="s"><display value="x"/></subject><effectiveDateTime value="2024-05-01"/>'
    '<valueQuantity><value value="1.500"/></valueQuantity>'
)
MEMBERS = {
    "text": {"status": "generated", "div": DIV},
    "status": "final",
    "code": {"text": "a < b"},
    "subject": {"id": "s", "display": "x"},
    "effectiveDateTime": "2024-05-01",
}


def observation(elements: str = ELEMENTS) -> bytes:
    return f'<?xml version="1.0"?>\n<Observation xmlns="http://hl7.org/fhir">{elements}</Observation>'.encode()


async def sent(client: FhirClient, method: str, path: str, body: bytes, **headers: str) -> httpx.Response:
    """Send XML and ask for XML."""
    return await client.send(method, path, body, **{"content_type": FHIR_XML, "accept": FHIR_XML, **headers})


def value(answer: httpx.Response) -> Json:
    """Return the resource of an answer, which must be in XML."""
    assert answer.headers["content-type"] == XML, answer.text
    return decode(answer.content)


@pytest.fixture
async def made(shared_server: FhirClient) -> str:
    """The path of an Observation that came in XML."""
    answer = await sent(shared_server, "POST", "Observation", observation())
    assert answer.status_code == 201, answer.text
    return f"Observation/{value(answer)['id']}"


async def test_what_comes_in_xml_is_what_it_would_be_in_json(shared_server: FhirClient, made: str) -> None:
    in_json = await shared_server.get(made)
    assert in_json.headers["content-type"] == JSON
    read = in_json.json()
    assert {name: read[name] for name in MEMBERS} == MEMBERS
    assert b'"valueQuantity":{"value":1.500}' in in_json.content
    in_xml = await shared_server.get(made, accept=FHIR_XML)
    assert ELEMENTS in in_xml.text
    assert value(in_xml) == {**read, "valueQuantity": value(in_xml)["valueQuantity"]}
    assert in_xml.headers["etag"] == in_json.headers["etag"]


@pytest.mark.parametrize("content_type", [FHIR_XML, "application/xml", "text/xml; charset=utf-8"])
async def test_an_update_in_xml(shared_server: FhirClient, content_type: str) -> None:
    key = f"Observation/{uuid4()}"
    body = observation(f'<id value="{key.partition("/")[2]}"/>{ELEMENTS}')
    answer = await sent(shared_server, "PUT", key, body, content_type=content_type)
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')
    body = body.replace(b"final", b"amended")
    answer = await shared_server.send("PUT", key, body, content_type=content_type)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert value(await shared_server.get(f"{key}/_history/2", accept=FHIR_XML))["status"] == "amended"
    history = value(await shared_server.get(f"{key}/_history?_format=xml"))
    assert [e["resource"]["status"] for e in history["entry"]] == ["amended", "final"]


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("?_format=xml", "*/*", XML),
        ("?_format=text/xml", "application/fhir+json", XML),
        ("?_format=application/xml", "*/*", XML),
        ("?_format=application/fhir%2Bxml", "*/*", XML),
        ("?_format=application/fhir+xml", "*/*", XML),
        ("?_format=json", FHIR_XML, JSON),
        ("", "application/xml", XML),
        ("", "text/xml", XML),
        ("", "Application/FHIR+XML", XML),
        ("", "application/fhir+xml; fhirVersion=4.0", XML),
        ("", "application/fhir+xml;q=0.9, application/fhir+json;q=0.8", XML),
        ("", "application/fhir+xml;q=0.8, application/fhir+json;q=0.9", JSON),
        ("", "application/fhir+xml, application/fhir+json", JSON),
        ("", "application/fhir+xml, */*", XML),
        ("", "application/fhir+xml;q=0.5, */*", JSON),
        ("", "application/fhir+xml;q=0, */*;q=0.1", JSON),
        ("", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("", "*/*", JSON),
    ],
)
async def test_who_gets_xml(shared_server: FhirClient, made: str, query: str, accept: str, content_type: str) -> None:
    answer = await shared_server.get(made + query, accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


async def test_versions_and_formats_that_there_are_not_are_not_acceptable(shared_server: FhirClient, made: str) -> None:
    for accept in ("application/fhir+xml; fhirVersion=5.0", "application/fhir+xml;q=0", "application/fhir+turtle"):
        assert (await shared_server.get(made, accept=accept)).status_code == 406
    answer = await shared_server.get(f"{made}?_format=ttl", accept=FHIR_XML)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (406, "not-supported")


async def test_a_search_answers_in_xml(shared_server: FhirClient, made: str) -> None:
    name = made.partition("/")[2]
    by_get = value(await shared_server.get(f"Observation?_id={name}", accept=FHIR_XML))
    assert (by_get["resourceType"], by_get["type"], by_get["total"]) == ("Bundle", "searchset", 1)
    (entry,) = by_get["entry"]
    assert (entry["search"], entry["resource"]["text"]["div"]) == ({"mode": "match"}, DIV)
    form = {"content_type": "application/x-www-form-urlencoded"}
    by_post = await shared_server.send("POST", "Observation/_search", f"_id={name}&_format=xml".encode(), **form)
    assert value(by_post)["entry"] == by_get["entry"]
    pretty = await shared_server.get(f"{made}?_pretty=true&_format=xml")
    assert '\n  <status value="final"/>\n' in pretty.text
    part = value(await shared_server.get(f"{made}?_elements=status&_format=xml"))
    assert set(part) == {"resourceType", "id", "meta", "status", "code"}


async def test_a_transaction_in_xml(shared_server: FhirClient) -> None:
    urn, name = f"urn:uuid:{uuid4()}", uuid4()
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urn,
                "resource": {"resourceType": "Patient", "name": [{"family": str(name)}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {"resourceType": "Observation", **MEMBERS, "subject": {"reference": urn}},
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    answer = value(await sent(shared_server, "POST", "", encode(bundle)))
    assert answer["type"] == "transaction-response"
    assert [e["response"]["status"] for e in answer["entry"]] == ["201 Created", "201 Created"]
    found = value(await shared_server.get(f"Observation?subject.name={name}", accept=FHIR_XML))
    reference = found["entry"][0]["resource"]["subject"]["reference"]
    assert answer["entry"][0]["response"]["location"].endswith(f"/{reference}/_history/1")


async def test_a_fhirpath_patch_in_xml(shared_server: FhirClient, made: str) -> None:
    parts = [("type", "Code", "replace"), ("path", "String", "Observation.status"), ("value", "Code", "amended")]
    operation = {"name": "operation", "part": [{"name": n, f"value{kind}": v} for n, kind, v in parts]}
    body = encode({"resourceType": "Parameters", "parameter": [operation]})
    answer = await sent(shared_server, "PATCH", made, body)
    assert (answer.status_code, value(answer)["status"]) == (200, "amended")


async def test_xml_patch_is_refused_by_name(shared_server: FhirClient, made: str) -> None:
    answer = await shared_server.send("PATCH", made, b"<diff/>", content_type="application/xml-patch+xml")
    assert answer.status_code == 415
    assert answer.json()["issue"][0]["diagnostics"].endswith("XML Patch is not supported.")


async def test_errors_are_in_xml_too(shared_server: FhirClient, made: str) -> None:
    missing = await shared_server.get("Observation/nobody", accept=FHIR_XML)
    assert (missing.status_code, value(missing)["issue"][0]["code"]) == (404, "not-found")
    unknown = await shared_server.get("Observation?nonsense=1&_format=xml", prefer="handling=strict")
    assert (unknown.status_code, value(unknown)["resourceType"]) == (400, "OperationOutcome")
    wrong = await sent(
        shared_server, "POST", "Observation", observation('<status value="x"/><code><text value="x"/></code>')
    )
    assert (wrong.status_code, value(wrong)["issue"][0]["expression"]) == (422, ["Observation.status"])
    other = await shared_server.send("POST", "Observation", b"x", content_type="text/plain", accept=FHIR_XML)
    assert (other.status_code, value(other)["issue"][0]["code"]) == (415, "not-supported")
    assert (await shared_server.get(made, accept=FHIR_XML, if_none_match='W/"1"')).status_code == 304


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (observation("<bad/>"), "Observation.bad"),
        (observation('<code><text value="x"/></code><status value="final"/>'), "Observation.status"),
        (observation('<status value="final"/><status value="final"/>'), "Observation.status"),
        (observation("text"), "Observation"),
        (observation('<component><code wrong="x"/></component>'), "Observation.component[0].code"),
        (b"<Observation/>", None),
        (b'{"resourceType":"Observation"}', None),
        (observation().replace(b"<Obs", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Obs', 1), None),
        (observation('<extension url="u">' * 70), f"Observation{'.extension[0]' * 31}"),
    ],
)
async def test_xml_that_is_not_acceptable_is_refused(shared_server: FhirClient, body: bytes, where: str | None) -> None:
    answer = await shared_server.send("POST", "Observation", body, content_type=FHIR_XML)
    (issue,) = answer.json()["issue"]
    assert (answer.status_code, issue["code"]) == (400, "structure")
    assert issue.get("expression") == (None if where is None else [where])


async def test_wrong_values_are_refused_as_they_are_in_json(shared_server: FhirClient) -> None:
    elements = (
        '<status value="final"/><code><text value="x"/></code><valueQuantity><value value="1,5"/></valueQuantity>'
    )
    members = {"status": "final", "code": {"text": "x"}, "valueQuantity": {"value": "1,5"}}
    in_xml = await shared_server.send("POST", "Observation", observation(elements), content_type=FHIR_XML)
    in_json = await shared_server.post("Observation", {"resourceType": "Observation", **members})
    assert in_xml.status_code == 422
    assert in_xml.json() == in_json.json()


async def test_the_server_says_that_it_speaks_xml(shared_server: FhirClient) -> None:
    statement = value(await shared_server.get("metadata", accept=FHIR_XML))
    assert statement["format"] == ["application/fhir+json", FHIR_XML, "json", "xml"]
    assert FHIR_XML in statement["patchFormat"]
    assert statement["rest"][0]["mode"] == "server"


async def test_head_and_an_operation_in_xml(shared_server: FhirClient, made: str) -> None:
    whole, head = [await shared_server.send(m, made, accept=FHIR_XML) for m in ("GET", "HEAD")]
    assert (head.content, head.headers["content-length"]) == (b"", whole.headers["content-length"])
    valid = await sent(shared_server, "POST", "Observation/$validate", observation())
    assert (valid.status_code, value(valid)["resourceType"]) == (200, "OperationOutcome")
