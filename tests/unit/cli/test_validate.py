"""fhir-server validate on files of our own making."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhir_server.cli.commands import app

Json = dict[str, Any]
BASE = "http://example.org/fhir/StructureDefinition/"
TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
RIGHT: Json = {"resourceType": "Patient", "text": TEXT, "name": [{"family": "Doe"}], "gender": "female"}
WRONG: Json = {"resourceType": "Patient", "text": TEXT, "gender": "femal"}
NAMED: Json = {
    "resourceType": "StructureDefinition",
    "url": BASE + "named",
    "version": "1.0.0",
    "name": "Named",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
}


def run(*arguments: Path | str) -> Result:
    return CliRunner().invoke(app, ["validate", *map(str, arguments)])


def written(folder: Path, name: str, content: Json | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def package(folder: Path, *resources: Json) -> Path:
    manifest = {"name": "example.named", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
    rows = [("package.json", manifest), *((f"{r['resourceType']}-{i}.json", r) for i, r in enumerate(resources))]
    path = folder / "named.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in rows:
            raw = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return path


def test_what_is_right_and_what_is_wrong(tmp_path: Path) -> None:
    right, wrong = written(tmp_path, "right.json", RIGHT), written(tmp_path, "wrong.json", WRONG)
    assert (run(right).exit_code, run(right).stdout) == (
        0,
        "1 resources in 1 files: 0 error, 0 warning, 0 information\n",
    )
    found = run(right, wrong)
    assert found.exit_code == 1
    first, last = found.stdout.splitlines()
    assert first.startswith(f"{wrong}: error code-invalid Patient.gender: ")
    assert last == "2 resources in 2 files: 1 error, 0 warning, 0 information"


def test_lines_gzip_and_xml(tmp_path: Path) -> None:
    lines = b"\n".join(json.dumps(row).encode() for row in (RIGHT, WRONG)) + b"\n\n{"
    written(tmp_path, "rows.ndjson.gz", gzip.compress(lines))
    written(tmp_path, "one.xml", b'<Patient xmlns="http://hl7.org/fhir"><gender value="femal"/></Patient>')
    written(tmp_path, "notes.txt", b"nothing of ours")
    found = run(tmp_path, "--level", "error")
    assert found.exit_code == 1
    heads = [line.partition(": ")[2].partition(": ")[0] for line in found.stdout.splitlines()[:3]]
    assert heads == ["error code-invalid Patient.gender", "error code-invalid Patient.gender", "fatal structure"]
    assert f"{tmp_path / 'rows.ndjson.gz'}:2: error" in found.stdout
    assert found.stdout.splitlines()[-1].startswith("4 resources in 2 files: 2 error")


def test_packages_and_profiles(tmp_path: Path) -> None:
    archive = package(tmp_path, NAMED)
    nameless = {k: v for k, v in RIGHT.items() if k != "name"}
    path = written(tmp_path, "p.json", {**nameless, "meta": {"profile": [BASE + "named"]}})
    assert run(path).exit_code == 0
    assert "warning not-found Patient.meta.profile[0]" in run(path).stdout
    assert "error required Patient.name" in run(path, "--package", archive).stdout
    unclaimed = written(tmp_path, "q.json", nameless)
    assert run(unclaimed, "--package", archive).exit_code == 0
    assert run(unclaimed, "--package", archive, "--profile", BASE + "named|1.0.0").exit_code == 1
    assert "error not-found" in run(unclaimed, "--package", archive, "--profile", BASE + "named|2.0.0").stdout


def test_json_is_an_outcome_a_line(tmp_path: Path) -> None:
    found = run(written(tmp_path, "wrong.json", WRONG), "--json")
    (line,) = found.stdout.splitlines()
    row = json.loads(line)
    assert row["file"].endswith("wrong.json")
    assert [i["expression"] for i in row["outcome"]["issue"]] == [["Patient.gender"]]
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "does not exist"),
        (["empty"], "nothing to validate"),
        (["p.json", "--level", "loud"], "--level is one of"),
        (["p.json", "--package", "none.tgz"], "cannot be read"),
        (["p.json", "--package", "p.json"], "p.json: "),
    ],
)
def test_clear_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    written(tmp_path, "p.json", RIGHT)
    found = run(*arguments)
    assert found.exit_code == 1
    assert found.stderr.startswith("fhir-server: ")
    assert message in found.stderr
    assert len(found.stderr.splitlines()) == 1
