"""$import over HTTP, on a database: files of a folder, fetched by a job."""

from __future__ import annotations

import asyncio
import gzip
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine


def parameters(*inputs: tuple[str, str]) -> Json:
    rows: list[Json] = [{"name": "inputFormat", "valueCode": "application/fhir+ndjson"}]
    for kind, url in inputs:
        parts = [{"name": "type", "valueCode": kind}, {"name": "url", "valueUri": url}]
        rows.append({"name": "input", "part": parts})
    return {"resourceType": "Parameters", "parameter": rows}


async def result(http: FhirClient, body: Json) -> Json:
    """Start the job and return its manifest."""
    answer = await http.post("$import", body, prefer="respond-async")
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    for _ in range(200):
        answer = await http.get(place)
        if answer.status_code != 202:
            break
        await asyncio.sleep(0.1)
    assert answer.status_code == 200, answer.text
    manifest: Json = answer.json()
    return manifest


async def test_files_plain_and_packed(starting: Any, tmp_path: Path) -> None:
    patients = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(1200)]
    (tmp_path / "patients.ndjson").write_text("\n".join(map(json.dumps, patients)))
    (tmp_path / "basic.ndjson.gz").write_bytes(
        gzip.compress(
            b'{"resourceType":"Basic","id":"b1","code":{"text":"x"}}\n{"resourceType":"Basic","id":"b2"}\n{"resourceType":"Basic","code":{"text":"x"}}\nno\n'
        )
    )
    files = [("Patient", f"file://{tmp_path}/patients.ndjson"), ("Basic", f"file://{tmp_path}/basic.ndjson.gz")]
    async with starting(import_dir=str(tmp_path)) as http:
        manifest = await result(http, parameters(*files))
        assert manifest["output"] == [
            {"type": "Patient", "inputUrl": files[0][1], "count": 1200},
            {"type": "Basic", "inputUrl": files[1][1], "count": 1},
        ]
        assert manifest["request"] == "http://testserver/fhir/$import"
        (row,) = manifest["error"]
        assert (row["type"], row["inputUrl"], row["count"]) == ("OperationOutcome", files[1][1], 3)
        binary = (await http.get(row["url"].removeprefix("http://testserver"), accept="application/fhir+json")).json()
        issues = [json.loads(line)["issue"][0] for line in b64decode(binary["data"]).splitlines()]
        found = sorted((i["location"][0], i["code"]) for i in issues)
        assert found == [("line 2", "required"), ("line 3", "required"), ("line 4", "structure")]
        assert (await http.get("Patient?_summary=count")).json()["total"] == 1200
        again = await result(http, parameters(files[0]))
        assert again["output"][0]["count"] == 1200
        assert (await http.get("Patient/p7")).json()["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:27017/", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "ftp://x/y"]
)
async def test_what_is_not_allowed_is_refused_at_once(http: FhirClient, url: str) -> None:
    answer = await http.post("$import", parameters(("Patient", url)))
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["diagnostics"].startswith("input 1: ")
