"""What a search may not ask is refused by name, what is not known is named in a warning, and what is absurd is bounded.

https://hl7.org/fhir/R4/search.html#errors, #modifiers: a modifier that a server does not support SHALL be refused; an
unknown parameter SHOULD be ignored unless the client prefers strict handling.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fhir_server.fhir.json import decode
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.search.driving import load, readable

Json = dict[str, Any]

ASKED: Json = decode((Path(__file__).parent / "refused.json").read_bytes())
SECONDS = 5.0
PATIENTS = 5


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[FhirClient]:
    """A server with some patients."""
    async with fhir_client() as client:
        await load(
            client, [{"resourceType": "Patient", "id": f"p{n}", "name": [{"family": f"n{n}"}]} for n in range(PATIENTS)]
        )
        yield client


@pytest.mark.parametrize("case", ASKED["refused"], ids=lambda case: case["query"])
@pytest.mark.parametrize("handling", ["strict", "lenient"])
async def test_a_search_that_cannot_be_is_refused_by_name(server: FhirClient, case: Json, handling: str) -> None:
    answer = await get(server, case["query"], prefer=f"handling={handling}")
    assert answer.status_code == 400, answer.text[:500]
    assert_named(answer.json(), case["names"])


@pytest.mark.parametrize("case", ASKED["ignored"], ids=lambda case: case["query"])
async def test_an_unknown_parameter_is_refused_when_the_client_is_strict(server: FhirClient, case: Json) -> None:
    answer = await get(server, case["query"], prefer="handling=strict")
    assert answer.status_code == 400, answer.text[:500]
    assert_named(answer.json(), case["names"])


@pytest.mark.parametrize("case", ASKED["ignored"], ids=lambda case: case["query"])
@pytest.mark.parametrize("headers", [{}, {"prefer": "handling=lenient"}])
async def test_an_unknown_parameter_is_left_out_and_warned_of(
    server: FhirClient, case: Json, headers: dict[str, str]
) -> None:
    answer = await get(server, case["query"], **headers)
    assert answer.status_code == 200, answer.text[:500]
    bundle = answer.json()
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match"] * PATIENTS + ["outcome"]
    assert_named(bundle["entry"][-1]["resource"], case["names"], "warning")
    own = next(link["url"] for link in bundle["link"] if link["relation"] == "self")
    assert case["names"] not in parse_qs(urlsplit(own).query) or case["names"] == "_sort"


async def test_an_empty_parameter_is_ignored(server: FhirClient) -> None:
    answer = await get(server, "Patient?name=")
    assert answer.status_code == 200
    assert sum(e["search"]["mode"] == "match" for e in answer.json()["entry"]) == PATIENTS


async def test_a_tampered_cursor_is_refused_at_every_byte(server: FhirClient) -> None:
    first = (await get(server, "Patient?_count=2")).json()
    url = next(link["url"] for link in first["link"] if link["relation"] == "next")
    cursor = parse_qs(urlsplit(url).query)["_cursor"][0]
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert (await get(server, f"Patient?_count=2&_cursor={cursor}")).status_code == 200
    for place in range(len(raw)):
        changed = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        forged = urlsafe_b64encode(changed).decode().rstrip("=")
        answer = await get(server, f"Patient?_count=2&_cursor={forged}")
        assert answer.status_code == 400, place
        assert_named(answer.json(), "_cursor")


@pytest.mark.parametrize("query", ["Patient?name=n&_count=2", "Practitioner?_count=2", "Patient?_sort=name&_count=2"])
async def test_the_cursor_of_one_search_is_refused_by_another(server: FhirClient, query: str) -> None:
    first = (await get(server, "Patient?_count=2")).json()
    url = next(link["url"] for link in first["link"] if link["relation"] == "next")
    cursor = parse_qs(urlsplit(url).query)["_cursor"][0]
    answer = await get(server, f"{query}&_cursor={cursor}")
    assert answer.status_code == 400
    assert_named(answer.json(), "_cursor")


ABSURD = {
    "ten thousand values": "Patient?name=" + ",".join(f"n{n}" for n in range(10_000)),
    "ten thousand codes": "Patient?identifier=" + ",".join(f"urn:x|{n}" for n in range(10_000)),
    "ten thousand ids": "Patient?_id=" + ",".join(f"i{n}" for n in range(10_000)),
    "a thousand parameters": "Patient?" + "&".join(f"name=n{n}" for n in range(1_000)),
    "twenty links": "Organization?" + "partof." * 20 + "name=x",
    "twenty links back": "Organization?" + "_has:Organization:partof:" * 20 + "name=x",
    "an expression": "Patient?name=(a%2B)%2B$",
    "an expression anywhere": "Patient?name:contains=.*.*.*.*.*.*.*.*.*=b",
    "an operator": 'Patient?identifier={"$gt":""}',
    "a large page": "Patient?_count=1000000",
    "a larger page": "Patient?_count=" + "9" * 1_000,
    "a long text": "Patient?name=" + "x" * 50_000,
    "a long number": "ChargeItem?factor-override=" + "1" * 50_000,
    "a long date": "Patient?birthdate=" + "2" * 50_000,
    "backslashes": "Patient?name=" + "\\" * 50_000,
    "bars": "Patient?identifier=" + "|" * 50_000,
    "dollars": "Observation?code-value-quantity=" + "$" * 50_000,
    "deep parentheses": "Patient?_filter=" + "(" * 5_000 + "name eq a" + ")" * 5_000,
    "many tests": "Patient?_filter=" + " or ".join(["name eq a"] * 5_000),
    "many nots": "Patient?_filter=" + "not (" * 5_000 + "name eq a" + ")" * 5_000,
    "many sorts": "Patient?_sort=" + ",".join(["name"] * 5_000),
    "many includes": "Patient?" + "&".join(["_include:iterate=Patient:*", "_revinclude:iterate=Patient:*"] * 500),
    "many types": "?_type=" + ",".join(["Patient"] * 5_000),
    "a null": "Patient?name=%00",
    "half a surrogate": "Patient?name=%ED%A0%80",
    "not UTF-8": "Patient?name=%ff",
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
async def test_an_absurd_search_is_answered_or_refused_within_seconds(server: FhirClient, name: str) -> None:
    url = ABSURD[name]
    began = time.monotonic()
    if len(url) < 60_000:
        answer = await get(server, url)
    else:
        path, _, body = url.partition("?")
        answer = await server.send(
            "POST", f"{path}/_search", readable(body).encode(), content_type="application/x-www-form-urlencoded"
        )
    assert time.monotonic() - began < SECONDS
    assert answer.status_code in (200, 400, 413, 414, 422), answer.text[:500]
    body = answer.json()
    assert body["resourceType"] == ("Bundle" if answer.status_code == 200 else "OperationOutcome")
    assert len(body.get("entry", ())) <= PATIENTS + 1


async def get(server: FhirClient, url: str, **headers: str) -> httpx.Response:
    """GET a search."""
    return await server.get(readable(url), **headers)


def assert_named(outcome: Json, name: str, severity: str = "error") -> None:
    """Fail unless an issue of the severity says something, and that it is about the parameter."""
    issues = [issue for issue in outcome["issue"] if issue["severity"] == severity]
    assert all(issue["diagnostics"] for issue in issues)
    assert any(place.startswith(f"http.{name}") for issue in issues for place in issue["location"]), outcome
