"""What docs/guide/terminology-remote.md shows, done as it says."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.settings import rows, variable
from fhir_server.testing.client import FhirClient, fhir_client

pytestmark = pytest.mark.engine

GUIDE = (Path(__file__).parents[2] / "docs/guide/terminology-remote.md").read_text(encoding="utf-8")
BEGIN, ADD, ADDED, FIND, FOUND = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture
async def client() -> AsyncIterator[FhirClient]:
    async with fhir_client() as client:
        yield client


def shows(shown: Any, made: Any) -> bool:
    """Whether everything that the guide shows is in the answer; lists are shown whole."""
    if isinstance(shown, dict):
        return isinstance(made, dict) and all(k in made and shows(v, made[k]) for k, v in shown.items())
    if isinstance(shown, list):
        return isinstance(made, list) and len(made) == len(shown) and all(map(shows, shown, made))
    return bool(shown == made)


async def test_a_closure_table(client: FhirClient) -> None:
    assert (await client.post("$closure", BEGIN)).json()["version"] == "0"
    answer = (await client.post("$closure", ADD)).json()
    assert shows(ADDED, answer), answer


async def test_codes_by_their_properties(client: FhirClient) -> None:
    answer = (await client.post("CodeSystem/$find-matches", FIND)).json()
    assert shows(FOUND, answer), answer


def test_the_settings_it_names_exist() -> None:
    named = set(re.findall(r"FHIR_[A-Z_]+", GUIDE))
    assert named <= {variable(row.name) for row in rows()}
    assert len(named) == 7
