"""What docs/guide/terminology.md says, done."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from fhir_server.cli.commands import app
from fhir_server.testing.client import FhirClient, fhir_client
from terminology.loaders.formats import FORMATS

pytestmark = pytest.mark.engine

GUIDE = (Path(__file__).parents[2] / "docs/guide/terminology.md").read_text(encoding="utf-8")
ASKED = re.findall(r"^\| `(.+?)` \| (.+?) \|", GUIDE.partition("\n## Ask\n")[2], re.MULTILINE)


def _codes(rows: list[dict[str, Any]]) -> list[str]:
    return [code for row in rows for code in (row["code"], *_codes(row.get("contains", [])))]


def _answer(body: dict[str, Any]) -> str:
    if body["resourceType"] == "ValueSet":
        return ", ".join(_codes(body["expansion"]["contains"]))
    told = {row["name"]: next(v for k, v in row.items() if k != "name") for row in body["parameter"]}
    answer = next(told[name] for name in ("result", "outcome", "display") if name in told)
    return str(answer).lower() if isinstance(answer, bool) else str(answer)


async def _loaded(http: FhirClient, folder: Path) -> None:
    lines = re.findall(r"'([^']*)'", GUIDE.partition("printf '%s\\n' ")[2].partition(" > ")[0])
    (folder / "colours.csv").write_text("\n".join(lines))
    body = json.loads(GUIDE.partition("```json\n")[2].partition("```")[0].replace("/releases", str(folder)))
    answer = await http.post("CodeSystem/$load", body, prefer="respond-async")
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    while answer.status_code == 202:
        await asyncio.sleep(0.1)
        answer = await http.get(place)
    assert answer.json()["parameter"][-1]["valueInteger"] == len(lines) - 1 == 3


async def test_the_guides_table_and_its_questions(tmp_path: Path) -> None:
    assert len(ASKED) == 6
    async with fhir_client(import_dir=str(tmp_path)) as http:
        await _loaded(http, tmp_path)
        for question, expected in ASKED:
            path, _, query = question.partition("?")
            escaped = re.sub(
                r"url=(.*?)(&|$)", lambda m: f"url={m[1].replace('?', '%3F').replace('=', '%3D')}{m[2]}", query
            )
            answer = await http.get(f"{path}?{escaped}")
            assert answer.status_code == 200, (question, answer.text)
            assert (question, _answer(answer.json())) == (question, expected)


def test_every_command_of_the_guide_parses() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^fhir-server (terminology .*)$", GUIDE, re.MULTILINE)]
    group = get_command(app).commands["terminology"]  # type: ignore[attr-defined]  # a group has commands
    for _, name, *arguments in commands:
        group.commands[name].make_context(name, arguments)
    assert {arguments[2] for arguments in commands if arguments[1] == "load"} == set(FORMATS)


def test_the_guide_names_every_format() -> None:
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", GUIDE.partition("\n## Formats\n")[2], re.MULTILINE)[:6] == [
        "loinc", "snomed-ct", "rxnorm", "icd-10-cm", "code-system", "csv",
    ]  # fmt: skip
