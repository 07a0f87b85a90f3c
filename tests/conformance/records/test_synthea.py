"""Twenty real-looking records go in as they are and come out whole. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fhir_server.testing.client import FhirClient
from tests.conformance.records.plain_json import Json, plain, without_stamp
from tests.conformance.records.synthea import (
    FHIR,
    Loaded,
    as_updates,
    conditional,
    files,
    is_patient,
    loaded,
    references_in,
)

Hospital = tuple[FhirClient, list[Loaded]]
pytestmark = pytest.mark.skipif(not files(), reason="the Synthea patients are not in ../shared/data/synthea")


async def counts(client: FhirClient, types: set[str]) -> dict[str, int]:
    return {t: (await client.get(f"{t}?_summary=count")).json()["total"] for t in sorted(types)}


async def test_as_many_of_every_type_are_there_as_the_files_hold(hospital: Hospital) -> None:
    client, sent = hospital
    wanted = Counter(e["resource"]["resourceType"] for one in sent for e in one.bundle["entry"])
    assert sum(wanted.values()) == 6732
    assert await counts(client, set(wanted)) == dict(sorted(wanted.items()))


async def test_everything_of_each_patient_is_the_file_digit_by_digit(hospital: Hospital) -> None:
    client, sent = hospital
    records = [one for one in sent if is_patient(Path(one.name))]
    assert len(records) == 20
    for one in records:
        answer = await client.get(f"{one.patient}/$everything")
        assert answer.status_code == 200, one.name
        rows = plain(answer.content)["entry"]
        found = {f"{r['resource']['resourceType']}/{r['resource']['id']}": r for r in rows}
        assert len(found) == len(rows), f"{one.name}: a resource is there twice"
        matched = {key for key, row in found.items() if row["search"]["mode"] == "match"}
        assert matched == one.in_compartment(), one.name
        expected = one.expected()
        linked = {r for key in matched for r in references_in(expected[key]) if r in expected}
        assert set(found) == matched | linked, one.name
        assert {key: without_stamp(row["resource"]) for key, row in found.items()} == {
            key: expected[key] for key in found
        }, one.name


async def test_every_resource_is_read_back_as_it_was_sent(hospital: Hospital) -> None:
    client, sent = hospital
    one = min((s for s in sent if is_patient(Path(s.name))), key=lambda s: len(s.keys))
    for key, resource in one.expected().items():
        assert without_stamp(plain((await client.get(key)).content)) == resource, key


async def test_a_compartment_search_of_a_type_finds_what_everything_has_of_it(hospital: Hospital) -> None:
    client, sent = hospital
    one = max((s for s in sent if is_patient(Path(s.name))), key=lambda s: len(s.keys))
    for kind in ("Observation", "Encounter", "Claim", "Condition"):
        answer = await client.get(f"{one.patient}/{kind}?_count=1000")
        found = {f"{kind}/{e['resource']['id']}" for e in answer.json()["entry"]}
        assert found == {key for key in one.in_compartment() if key.startswith(kind + "/")}


async def test_hospitals_and_practitioners_sent_twice_are_created_once(empty: FhirClient) -> None:
    for path in (p for p in files() if not is_patient(p)):
        raw = conditional(path.read_bytes())
        first = loaded(path.name, raw, await empty.send("POST", "", raw, content_type=FHIR))
        again = await empty.send("POST", "", raw, content_type=FHIR)
        assert loaded(path.name, raw, again).keys == first.keys
        assert {e["response"]["status"].split()[0] for e in again.json()["entry"]} == {"200"}
    assert await counts(empty, {"Organization", "Practitioner"}) == {"Organization": 203, "Practitioner": 203}


async def test_a_record_put_twice_has_no_second_versions(empty: FhirClient) -> None:
    path = min((p for p in files() if is_patient(p)), key=lambda p: p.stat().st_size)
    raw = as_updates(path.read_bytes())
    first = await empty.send("POST", "", raw, content_type=FHIR)
    assert first.status_code == 200, first.text[:2000]
    etags = [e["response"]["etag"] for e in first.json()["entry"]]
    again = await empty.send("POST", "", raw, content_type=FHIR)
    assert again.status_code == 200, again.text[:2000]
    assert [e["response"]["etag"] for e in again.json()["entry"]] == etags == ['W/"1"'] * len(etags)
    history: Json = (await empty.get("_history?_count=1000")).json()
    assert len(history["entry"]) == len(etags)
