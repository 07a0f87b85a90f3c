"""A terminology server elsewhere is asked about what is not known here, over the wire on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.unit.terminology.shelf import ANIMALS, SET, animals, value_set

pytestmark = pytest.mark.engine

Json = dict[str, Any]
FAR = "http://example.org/far"
VALID: Json = {"resourceType": "Parameters", "parameter": [{"name": "result", "valueBoolean": True}]}
Answers = Callable[[str, Json], tuple[int, Json]]


class Elsewhere:
    """A terminology server on the loopback, which answers as a test wants and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []
        self.answer: Answers = lambda path, body: (404, {"resourceType": "OperationOutcome"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            lines = head.decode().lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length")), 0)
            path = head.split(b" ")[1].decode()
            body = json.loads(await reader.readexactly(length)) if length else {}
            self.asked.append((path, body))
            status, made = self.answer(path, body)
            raw = json.dumps(made).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(raw)) + raw)
            await writer.drain()
            break
        writer.close()


@pytest.fixture
async def there() -> AsyncIterator[tuple[Elsewhere, str]]:
    elsewhere = Elsewhere()
    server = await asyncio.start_server(elsewhere.serve, "127.0.0.1", 0)
    yield elsewhere, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    server.close()


@pytest.fixture
async def here(there: tuple[Elsewhere, str]) -> AsyncIterator[tuple[Elsewhere, FhirClient]]:
    elsewhere, url = there
    async with fhir_client(terminology_remote=url, terminology_remote_timeout_ms="2000") as client:
        for resource in (animals(), value_set("own", {"system": FAR})):
            assert (await client.post(str(resource["resourceType"]), resource)).status_code == 201
        yield elsewhere, client


async def test_operations_ask_elsewhere_what_is_not_known_here(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    expansion = {"resourceType": "ValueSet", "status": "active", "expansion": {"contains": [{"code": "x"}]}}
    elsewhere.answer = lambda path, body: (200, expansion if "$expand" in path else VALID)
    for path, told in (
        ("ValueSet/$expand?url=http://example.org/vs&count=5", expansion),
        (f"ValueSet/$validate-code?url=http://example.org/vs&system={FAR}&code=x&display=John", VALID),
        ("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/observation-codes", expansion),
        (
            "ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/observation-codes&system=http://loinc.org&code=1",
            VALID,
        ),
        (f"CodeSystem/$validate-code?url={FAR}&code=x", VALID),
        ("CodeSystem/$lookup?system=http://snomed.info/sct&code=1", VALID),
        ("CodeSystem/$subsumes?system=http://snomed.info/sct&codeA=1&codeB=2", VALID),
        (f"CodeSystem/$lookup?system={FAR}&code=x", VALID),
        (f"CodeSystem/$subsumes?system={FAR}&codeA=x&codeB=y", VALID),
        (f"ConceptMap/$translate?url=http://example.org/cm&system={FAR}&code=x", VALID),
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (200, told), path
        assert elsewhere.asked[-1][0] == "/fhir/" + path.partition("?")[0]
    assert "John" not in json.dumps(elsewhere.asked)
    assert {r["name"] for r in elsewhere.asked[0][1]["parameter"]} == {"url", "count"}


async def test_of_codings_only_the_codes_are_sent(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    elsewhere.answer = lambda path, body: (200, VALID)
    coding = {"system": FAR, "version": "1", "code": "x", "display": "John", "extension": [{"url": "urn:x:John"}]}
    rows: list[Json] = [{"name": "url", "valueUri": "http://example.org/vs"}]
    for sent in ({"valueCoding": coding}, {"valueCodeableConcept": {"coding": [coding], "text": "John"}}):
        name = next(iter(sent)).removeprefix("value")
        row = {"name": name[0].lower() + name[1:], **sent}
        answer = await client.post("ValueSet/$validate-code", {"resourceType": "Parameters", "parameter": [*rows, row]})
        assert answer.json() == VALID
    assert "John" not in json.dumps(elsewhere.asked)
    bare = {"system": FAR, "version": "1", "code": "x"}
    assert [a[1]["parameter"][-1] for a in elsewhere.asked] == [
        {"name": "coding", "valueCoding": bare},
        {"name": "codeableConcept", "valueCodeableConcept": {"coding": [bare]}},
    ]


async def test_what_is_called_on_a_resource_stays_here(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    empty = {**animals(url=FAR, content="not-present", concept=[]), "id": "empty"}
    assert (await client.put("CodeSystem/empty", {k: v for k, v in empty.items() if v != []})).status_code == 201
    assert (await client.get("CodeSystem/empty/$subsumes?codeA=x&codeB=y")).status_code == 501
    assert elsewhere.asked == []


async def test_what_is_known_here_stays_here(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    for path, status in (
        (f"CodeSystem/$lookup?system={ANIMALS}&code=owl", 200),
        (f"CodeSystem/$lookup?system={ANIMALS}&code=unicorn", 404),
        (f"CodeSystem/$validate-code?url={ANIMALS}&code=unicorn", 200),
        ("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", 200),
        (f"ValueSet/$expand?url={SET}own", 404),  # it is a tenant's and may not be sent
        (f"ValueSet/$validate-code?url={SET}own&system={FAR}&code=x", 200),
    ):
        assert (await client.get(path)).status_code == status, path
    assert elsewhere.asked == []


async def test_a_server_that_does_not_know_leaves_the_answer_of_this_one(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    answer = await client.get(f"CodeSystem/$lookup?system={FAR}&code=x")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    answer = await client.get(f"CodeSystem/$validate-code?url={FAR}&code=x")
    assert (answer.status_code, answer.json()["parameter"][0]) == (200, {"name": "result", "valueBoolean": False})
    assert len(elsewhere.asked) == 2


async def test_a_server_that_is_away_is_told_and_nothing_is_said_to_be_wrong() -> None:
    async with fhir_client(terminology_remote="http://127.0.0.1:1/fhir") as client:
        for path in (f"CodeSystem/$lookup?system={FAR}&code=x", f"CodeSystem/$validate-code?url={FAR}&code=x"):
            answer = await client.get(path)
            issue = answer.json()["issue"][0]
            assert (answer.status_code, issue["code"]) == (503, "transient")
            assert "could not be reached" in issue["diagnostics"]
            assert answer.headers["retry-after"] == "10"
        assert (await client.get(f"CodeSystem/$lookup?system={ANIMALS}&code=owl")).status_code == 503
        gender = "http://hl7.org/fhir/administrative-gender"
        assert (await client.get(f"CodeSystem/$lookup?system={gender}&code=male")).status_code == 200


async def test_value_sets_go_along_where_the_settings_allow_it(there: tuple[Elsewhere, str]) -> None:
    elsewhere, url = there
    elsewhere.answer = lambda path, body: (200, VALID)
    async with fhir_client(terminology_remote=url, terminology_remote_sends="value-sets") as client:
        assert (await client.post("ValueSet", value_set("own", {"system": FAR}))).status_code == 201
        answer = await client.get(f"ValueSet/$validate-code?url={SET}own&system={FAR}&code=x")
        assert (answer.status_code, answer.json()) == (200, VALID)
    sent = {r["name"]: r for r in elsewhere.asked[-1][1]["parameter"]}
    assert sent.keys() == {"code", "system", "valueSet"}
    assert sent["valueSet"]["resource"]["url"] == SET + "own"


async def test_search_by_what_is_below_a_code_known_elsewhere(here: tuple[Elsewhere, FhirClient]) -> None:
    elsewhere, client = here
    contains = [{"system": FAR, "code": "x"}]
    made = {"resourceType": "ValueSet", "status": "active", "expansion": {"total": 1, "contains": contains}}
    elsewhere.answer = lambda path, body: (200, made)
    for code in "xy":
        body = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": FAR, "code": code}]}}
        assert (await client.post("Observation", body)).status_code == 201
    found = (await client.get(f"Observation?code:below={FAR}|y")).json()
    assert [e["resource"]["code"]["coding"][0]["code"] for e in found["entry"]] == ["x"]
    found = (await client.get("Observation?code:in=http://example.org/vs")).json()
    assert found["total"] == 1
