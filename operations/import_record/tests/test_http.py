"""Patient/$import over HTTP, on a database: real checks, a real transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

OLD = "http://old.example/fhir"
BINARY: Json = {"resourceType": "Binary", "id": "scan", "contentType": "text/plain", "data": "eA=="}


@pytest.fixture
async def http(starting: Any) -> AsyncGenerator[FhirClient, None]:
    async with starting() as client:
        yield client


def entry(resource: Json) -> Json:
    return {"fullUrl": f"{OLD}/{resource['resourceType']}/{resource['id']}", "resource": resource}


def record(*more: Json, **members: Any) -> Json:
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:mrn", "value": "7,7|7"}],
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
    }
    document = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": {"reference": "Patient/p"},
        "author": [{"reference": f"{OLD}/Practitioner/doc"}],
        "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/scan"}}],
    }
    practitioner = {"resourceType": "Practitioner", "id": "doc"}
    resources: list[Json] = [patient, document, practitioner, BINARY, *more]
    return {"resourceType": "Bundle", "type": "collection", "entry": [entry(r) for r in resources], **members}


def observation(name: str, **more: Any) -> Json:
    about = {"subject": {"reference": "Patient/p"}, "code": {"text": "x"}, "status": "final"}
    return {"resourceType": "Observation", "id": name, **about, **more}


def parameters(bundle: Json, **more: Any) -> Json:
    rows: list[Json] = [{"name": "bundle", "resource": bundle}]
    kinds = {bool: "valueBoolean", str: "valueCode", dict: "valueReference"}
    rows += [{"name": name, kinds[type(value)]: value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": rows}


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    rows = answer.json()["parameter"]
    return {r["name"]: next(v for n, v in r.items() if n != "name") for r in rows if r["name"] != "idMap"}


async def totals(http: FhirClient) -> dict[str, int]:
    types = ("Patient", "DocumentReference", "Practitioner", "Binary", "Observation", "Provenance")
    return {t: (await http.get(f"{t}?_summary=count")).json()["total"] for t in types}


NOTHING = dict.fromkeys(("Patient", "DocumentReference", "Practitioner", "Binary", "Observation", "Provenance"), 0)
ALL = {**NOTHING, "Patient": 1, "DocumentReference": 1, "Practitioner": 1, "Binary": 1, "Provenance": 1}


async def test_a_record_comes_in_whole_and_goes_out_whole(http: FhirClient) -> None:
    out = outputs(await http.post("Patient/$import", parameters(record())))
    assert {n: out[n] for n in ("created", "updated", "skipped", "quarantined")} == {
        "created": 4,
        "updated": 0,
        "skipped": 0,
        "quarantined": 0,
    }
    assert await totals(http) == ALL
    patient = (await http.get(out["patient"]["reference"])).json()
    assert patient["meta"]["security"][0]["code"] == "R"
    assert patient["meta"]["source"] == f"{OLD}/Patient/p"
    everything = (await http.get(f"{out['patient']['reference']}/$everything")).json()
    types = [e["resource"]["resourceType"] for e in everything["entry"]]
    assert types == ["Patient", "Provenance", "DocumentReference", "Binary", "Practitioner"]
    document = next(e["resource"] for e in everything["entry"] if e["resource"]["resourceType"] == "DocumentReference")
    binary = await http.get(document["content"][0]["attachment"]["url"], accept="application/fhir+json")
    assert binary.json()["data"] == "eA=="


async def test_the_bare_bundle_is_a_body_too(http: FhirClient) -> None:
    assert outputs(await http.post("Patient/$import", record()))["created"] == 4


async def test_a_dry_run_leaves_nothing(http: FhirClient) -> None:
    out = outputs(await http.post("Patient/$import", parameters(record(), dryRun=True)))
    assert (out["created"], out["dryRun"]) == (4, True)
    assert await totals(http) == NOTHING


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ([observation("o", status="unknwon")], ["Bundle.entry[4].resource.status"]),
        ([observation("o", encounter={"reference": "Encounter/none"})], ["Bundle.entry[4].resource"]),
        ([{"resourceType": "Patient", "id": "q"}], ["Bundle.entry[0].resource", "Bundle.entry[4].resource"]),
        ([{"resourceType": "Observatoin", "id": "o"}], ["Bundle.entry[4].resource"]),
    ],
)
async def test_what_is_wrong_leaves_nothing(http: FhirClient, more: list[Json], places: list[str]) -> None:
    answer = await http.post("Patient/$import", parameters(record(*more)))
    assert answer.status_code == 422, answer.text
    assert [i["expression"] for i in answer.json()["issue"]] == [[place] for place in places]
    assert await totals(http) == NOTHING


async def test_a_failure_inside_the_transaction_leaves_nothing(http: FhirClient) -> None:
    loose = observation("o", performer=[{"reference": "Practitioner?identifier=urn:x|nobody"}])
    answer = await http.post("Patient/$import", parameters(record(loose)))
    assert 400 <= answer.status_code < 500, answer.text
    assert await totals(http) == NOTHING


async def test_quarantine_keeps_the_rest(http: FhirClient) -> None:
    wrong = observation("o", status="unknwon")
    out = outputs(await http.post("Patient/$import", parameters(record(wrong), mode="quarantine")))
    assert (out["created"], out["quarantined"]) == (4, 1)
    assert await totals(http) == {**ALL, "Binary": 2}


@pytest.mark.parametrize("on_duplicate", ["skip", "version"])
async def test_again_changes_nothing(http: FhirClient, on_duplicate: str) -> None:
    bundle = record(identifier={"system": "urn:b", "value": "1"})
    first = outputs(await http.post("Patient/$import", parameters(bundle)))
    again = outputs(await http.post("Patient/$import", parameters(bundle, onDuplicate=on_duplicate)))
    assert (again["created"], again["updated"], again["skipped"]) == (0, 0, 4)
    assert (again["patient"], again["provenance"]) == (first["patient"], first["provenance"])
    assert await totals(http) == ALL
    history = (await http.get("_history")).json()
    assert len(history["entry"]) == 5


async def test_a_new_version_keeps_the_labels(http: FhirClient) -> None:
    out = outputs(await http.post("Patient/$import", parameters(record())))
    later = record()
    later["entry"][0]["resource"].pop("meta")
    later["entry"][0]["resource"]["gender"] = "female"
    again = outputs(await http.post("Patient/$import", parameters(later, onDuplicate="version")))
    assert (again["patient"], again["created"], again["updated"]) == (out["patient"], 0, 1)
    patient = (await http.get(out["patient"]["reference"])).json()
    assert (patient["gender"], patient["meta"]["versionId"]) == ("female", "2")
    assert patient["meta"]["security"][0]["code"] == "R"


async def test_candidates_are_named(http: FhirClient) -> None:
    for name in ("a", "b"):
        twin = {"resourceType": "Patient", "id": name, "identifier": [{"system": "urn:mrn", "value": "7,7|7"}]}
        assert (await http.put(f"Patient/{name}", twin)).status_code == 201
    answer = await http.post("Patient/$import", parameters(record()))
    assert answer.status_code == 409
    assert [i["diagnostics"].split()[0] for i in answer.json()["issue"]] == ["Patient/a", "Patient/b"]
    assert await totals(http) == {**NOTHING, "Patient": 2}
    out = await http.post("Patient/$import", parameters(record(), target={"reference": "Patient/a"}))
    assert out.status_code == 409


async def test_fail_refuses_what_is_here(http: FhirClient) -> None:
    await http.post("Patient/$import", parameters(record()))
    answer = await http.post("Patient/$import", parameters(record(), onDuplicate="fail"))
    assert answer.status_code == 409
    assert {i["code"] for i in answer.json()["issue"]} == {"duplicate"}


async def test_two_at_once_make_one_patient(http: FhirClient) -> None:
    bundles = [record(observation(f"o{n}"), identifier={"value": f"{n}"}) for n in range(2)]
    answers = await asyncio.gather(*(http.post("Patient/$import", parameters(b)) for b in bundles))
    assert sorted(a.status_code for a in answers)[0] == 200
    for answer, bundle in zip(answers, bundles, strict=True):
        if answer.status_code != 200:
            assert answer.status_code in (400, 409, 412), answer.text
            outputs(await http.post("Patient/$import", parameters(bundle)))
    found = await totals(http)
    assert (found["Patient"], found["Observation"]) == (1, 2)
