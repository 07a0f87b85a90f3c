"""What docs/guide/search-parameters.md shows, done as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fhir_server.search.custom import FITTING
from fhir_server.search.expressions import FUNCTIONS
from fhir_server.testing.client import FhirClient
from tests.http.parameters.conftest import found, made, ready

GUIDE = (Path(__file__).parents[3] / "docs/guide/search-parameters.md").read_text(encoding="utf-8")
BASE = "http://127.0.0.1:8000/fhir/"


async def test_the_example_runs(quick: FhirClient) -> None:
    resources = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
    commands = re.findall(rf"^curl (-X PUT )?'{BASE}(.*?)'", GUIDE, re.MULTILINE)
    puts = [path for is_put, path in commands if is_put]
    assert puts == [f"{r['resourceType']}/{r['id']}" for r in resources]
    job, *searches = [path for is_put, path in commands if not is_put]

    await made(quick, *resources)

    assert (await quick.get(job)).headers["x-progress"]
    await ready(quick, searches[0])
    assert [await found(quick, search) for search in searches] == [["kim"], []]
    assert (await quick.get(job)).json()["parameter"][0] == {"name": "resources", "valueInteger": 1}


def test_the_functions_it_names_are_those_there_are() -> None:
    allowed, refused = GUIDE.split("## What an expression may do")[1].split("What could take long")
    names = set(re.findall(r"`(\w+)`", allowed))
    assert names <= FUNCTIONS
    assert len(names) > 5
    assert not FUNCTIONS & {"descendants", "repeat", "matches", "now"}
    assert "`descendants`, `repeat`, `matches`" in refused
    assert "special" not in FITTING
