"""fhir-server import against a real server: everything arrives once, what is refused is named."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from fhir_server.cli.import_records import deliver
from fhir_server.cli.importing.report import CREATED, OTHER, REFUSED, Report
from fhir_server.cli.importing.sending import Sender
from fhir_server.cli.importing.sources import find, in_order
from fhir_server.testing.client import FhirClient

pytestmark = pytest.mark.engine

LINKS = ["urn:uuid:0a8a5a3c-40f1-4b6c-8f0a-1c6b7f0f5d01", "urn:uuid:0a8a5a3c-40f1-4b6c-8f0a-1c6b7f0f5d02"]


async def load(server: FhirClient, *paths: Path, errors: io.BytesIO | None = None) -> Report:
    report = Report(errors)
    sender = Sender(server.http, "http://testserver/fhir", report)
    await sender.greet()
    await deliver(in_order(find(paths)), sender, report, lambda size: None, 2)
    return report


async def number(server: FhirClient, kind: str) -> int:
    total = (await server.get(f"{kind}?_summary=count")).json()["total"]
    assert isinstance(total, int)
    return total


def observation(key: str, value: str = "1.00", status: str = "final") -> str:
    return (
        f'{{"resourceType":"Observation","id":"{key}","status":"{status}","code":{{"text":"x"}},'
        f'"valueQuantity":{{"value":{value}}}}}'
    )


async def test_ndjson_is_stored_as_written_and_wrong_lines_are_named(server: FhirClient, tmp_path: Path) -> None:
    lines = [observation(f"o{i}") for i in range(600)]
    lines[2] = observation("o2", status="guesswork")
    lines[3] = '{"resourceType":"Observation"'
    (tmp_path / "o.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    errors = io.BytesIO()
    report = await load(server, tmp_path, errors=errors)
    assert report.counts == {("Observation", CREATED): 598, ("Observation", REFUSED): 1, ("(unreadable)", REFUSED): 1}
    assert await number(server, "Observation") == 598
    assert b'"value":1.00}' in (await server.get("Observation/o599")).content
    file = tmp_path / "o.ndjson.gz"
    outcomes = [json.loads(line) for line in errors.getvalue().splitlines()]
    assert {(o["issue"][0]["location"][0], o["issue"][0]["code"]) for o in outcomes} == {
        (f"{file}:3", "code-invalid"),
        (f"{file}:4", "structure"),
    }
    assert any(line.startswith(f"{file}:3: code-invalid at Observation.status: ") for line in report.lines)


async def test_the_same_again_changes_nothing(server: FhirClient, tmp_path: Path) -> None:
    (tmp_path / "o.ndjson").write_text("\n".join(observation(f"o{i}") for i in range(3)), encoding="utf-8")
    assert (await load(server, tmp_path)).counts == {("Observation", CREATED): 3}
    assert (await load(server, tmp_path)).counts == {("Observation", OTHER): 3}
    assert (await server.get("Observation/o1")).headers["etag"] == 'W/"1"'


async def test_a_collection_is_stored_under_its_ids_with_its_links(server: FhirClient, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p"}
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": LINKS[0]}}
    entries = [{"fullUrl": LINKS[0], "resource": patient}, {"fullUrl": LINKS[1], "resource": condition}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (tmp_path / "record.json").write_text(json.dumps(bundle), encoding="utf-8")
    assert (await load(server, tmp_path)).counts == {("Patient", CREATED): 1, ("Condition", CREATED): 1}
    assert (await server.get("Condition/c")).json()["subject"] == {"reference": "Patient/p"}


async def test_a_transaction_is_refused_whole_and_says_where(server: FhirClient, tmp_path: Path) -> None:
    entries = [
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "Patient", "birthDate": 5}, "request": {"method": "POST", "url": "Patient"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "record.json").write_text(json.dumps(bundle), encoding="utf-8")
    report = await load(server, tmp_path)
    assert report.counts == {("Patient", REFUSED): 2}
    assert " at Bundle.entry[1].resource.birthDate: " in report.lines[0]
    assert await number(server, "Patient") == 0


async def test_what_others_refer_to_is_sent_first(server: FhirClient, tmp_path: Path) -> None:
    link = {"reference": "Organization?identifier=urn:x|1"}
    for name, resource in (
        ("a", {"resourceType": "Patient", "managingOrganization": link}),
        ("b", {"resourceType": "Organization", "name": "B", "identifier": [{"system": "urn:x", "value": "1"}]}),
    ):
        request = {"method": "POST", "url": resource["resourceType"]}
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": resource, "request": request}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(bundle), encoding="utf-8")
    assert (await load(server, tmp_path)).counts == {("Patient", CREATED): 1, ("Organization", CREATED): 1}


async def test_the_synthea_hospital_arrives_complete(server: FhirClient, shared_data: Path) -> None:
    folder = shared_data / "synthea"
    if not folder.is_dir():
        pytest.skip("the Synthea patients are not in ../shared/data/synthea")
    sent = Counter(
        entry["resource"]["resourceType"]
        for path in folder.glob("*.json")
        for entry in json.loads(path.read_bytes())["entry"]
    )
    report = await load(server, folder)
    assert report.lines == []
    assert report.counts == {(kind, CREATED): count for kind, count in sent.items()}
    assert {kind: await number(server, kind) for kind in sent} == sent
