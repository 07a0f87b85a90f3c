"""The examples of docs/guide/search.md, run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from fhir_server.testing.client import fhir_client

GUIDE = Path(__file__).parents[3] / "docs/guide/search.md"
ROW = re.compile(r"^\| `(?P<query>.+?)` \| (?P<ids>[^|]*)\|", re.MULTILINE)


async def test_every_example_of_the_guide_finds_what_it_says() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    resources = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    rows = {m["query"].replace("\\|", "|"): sorted(re.findall(r"\w+", m["ids"])) for m in ROW.finditer(text)}
    assert len(rows) > 20
    found = {}
    async with fhir_client() as client:
        for resource in resources:
            answer = await client.put(f"{resource['resourceType']}/{resource['id']}", resource)
            assert answer.status_code == 201, answer.text
        for query in rows:
            answer = await client.get(quote(query, safe="?&=:/$|,."), prefer="handling=strict")
            assert answer.status_code == 200, (query, answer.text)
            found[query] = sorted(e["resource"]["id"] for e in answer.json().get("entry", ()))
    assert found == rows
