"""Searches over several types, and over all. https://hl7.org/fhir/R4/http.html#search"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]

META: Json = {"tag": [{"system": "urn:example:tags", "code": "x"}], "profile": ["https://example.org/profile"]}
RAY = [{"family": "Ray"}]
RESOURCES: dict[str, Json] = {
    "p": {"resourceType": "Patient", "name": RAY, "birthDate": "1980-01-01", "meta": META},
    "q": {"resourceType": "Patient", "name": [{"family": "Sun"}]},
    "d": {"resourceType": "Practitioner", "name": RAY, "meta": META},
    "o": {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
          "subject": {"reference": "Patient/p"}, "meta": META},
    "e": {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"},
          "subject": {"reference": "Patient/p"}},
}  # fmt: skip


@pytest.fixture(scope="module")
async def some(engine_url: str) -> AsyncIterator[FhirClient]:
    """A server with one of each."""
    async with fhir_client() as client:
        for name, resource in RESOURCES.items():
            await client.put(f"{resource['resourceType']}/{name}", {**resource, "id": name})
        yield client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_tag=x", "dop"),
        ("_tag=urn:example:tags|x", "dop"),
        ("_tag=urn:example:other|x", ""),
        ("_tag:not=x", "eq"),
        ("_profile=https://example.org/profile", "dop"),
        ("_tag=x&_lastUpdated=gt2000", "dop"),
        ("_tag=x&_type=Patient", "p"),
        ("_tag=x&_type=Patient,Observation", "op"),
        ("_type=Observation,Encounter&_tag=x", "o"),
        ("_type=Patient,Practitioner&family=ray", "dp"),
        ("family=ray&_type=Patient,Practitioner", "dp"),
        ("family:exact=Ray&_type=Practitioner,Patient", "dp"),
        ("_type=Observation,Encounter&subject=Patient/p", "eo"),
        ("_type=Observation,Encounter&patient.family=ray", "eo"),
        ("_type=Observation,Encounter&patient.family=sun", ""),
        ("_type=Patient,Practitioner&name:not=ray", None),
        ("_type=Patient,Observation&_id=p,o,e", "op"),
        ("_type=Patient,Practitioner", "dpq"),
        ("", "deopq"),
    ],
)
async def test_each_type_is_searched_by_its_own_index(some: FhirClient, query: str, expected: str | None) -> None:
    answer = await some.get(f"?{query}")
    if expected is None:  # refused rather than answered without the modifier
        assert answer.status_code == 400
        return
    assert answer.status_code == 200
    rows = answer.json().get("entry", [])
    assert {e["search"]["mode"] for e in rows} <= {"match"}
    assert "".join(sorted(e["resource"]["id"] for e in rows)) == expected


async def test_a_parameter_must_be_one_of_every_type(some: FhirClient) -> None:
    for query in ("family=ray", "_type=Patient,Observation&family=ray"):
        lenient = (await some.get(f"?{query}")).json()
        outcome = lenient["entry"][-1]["resource"]["issue"]
        assert [(i["severity"], i["location"]) for i in outcome] == [("warning", ["http.family"])]
        strict = await some.get(f"?{query}", prefer="handling=strict")
        assert (strict.status_code, strict.json()["issue"][0]["location"]) == (400, ["http.family"])


async def test_a_type_that_does_not_exist_is_refused(some: FhirClient) -> None:
    answer = await some.get("?_type=Patient,Rock")
    assert (answer.status_code, answer.json()["issue"][0]["location"]) == (400, ["http._type"])


async def test_pages_of_several_types_go_through_all(some: FhirClient) -> None:
    url, seen = "/fhir?_tag=x&_type=Patient,Practitioner,Observation&_count=1&_sort=_id", []
    while url:
        page = (await some.http.get(url)).json()
        seen += [e["fullUrl"].removeprefix("http://testserver/fhir/") for e in page["entry"]]
        url = next((row["url"] for row in page["link"] if row["relation"] == "next"), "")
    assert seen == ["Observation/o", "Patient/p", "Practitioner/d"]


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("value-quantity=1e-999999999", "http.value-quantity"),
        ("value-quantity=0e9999999", "http.value-quantity"),
        ("value-quantity=NaN", "http.value-quantity"),
        ("value-quantity=Infinity", "http.value-quantity"),
    ],
)
async def test_a_number_nobody_can_hold_is_refused(some: FhirClient, query: str, location: str) -> None:
    answer = await some.get(f"Observation?{query}")
    assert (answer.status_code, answer.json()["issue"][0]["location"]) == (400, [location])


async def test_more_parameters_than_anybody_needs_are_refused(some: FhirClient) -> None:
    assert (await some.get("Patient?" + "&".join(["active=true"] * 2000))).status_code == 200
    answer = await some.get("Patient?" + "&".join(["active=true"] * 2001))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invalid")
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert (await some.send("POST", "Patient/_search", b"active=true&" * 2001, **form)).status_code == 400
