"""`fhir-server search explain`: what is asked of the database, seen as a user sees it. docs/guide/search.md"""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner, Result

from fhir_server.cli.commands import app
from fhir_server.testing.client import FhirClient, fhir_client
from fhir_server.testing.engine import test_engine_url

OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/a"},
    "component": [{"code": {"text": "a"}, "valueQuantity": {"value": 5}}],
}


async def explained(client: FhirClient, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run the command on the database of a client."""
    assert client.app.services is not None
    store = client.app.services.store
    monkeypatch.setenv("FHIR_DATABASE_PREFIX", store._prefix)  # type: ignore[attr-defined]  # MongoStore's
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["search", "explain", "--mongodb", test_engine_url(), *arguments]
    )


async def test_a_search_is_explained_command_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fhir_client() as client:
        assert (await client.put("Patient/a", {"resourceType": "Patient", "id": "a"})).status_code == 201
        assert (await client.post("Observation", OBSERVATION)).status_code == 201
        told = await explained(client, monkeypatch, "--json", "Observation?patient.birthdate:missing=true&code=29463-7")
        assert told.exit_code == 0, told.output
        found = json.loads(told.stdout)
        kinds = [next(iter(row["command"])) for row in found["commands"]]
        assert (found["matches"], found["warnings"], found["tested"]) == (1, [], False)
        assert kinds[0] == "find"
        assert found["commands"][-1]["returned"] == 1
        assert "term_moment" in found["commands"][-1]["indexes"]

        said = await explained(client, monkeypatch, "Observation?component-value-quantity=gt4&colour=red")
        assert said.exit_code == 0, said.output
        assert "! colour is not a search parameter here." in said.stdout
        assert said.stdout.endswith("tested on each resource\n")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("Observation?date=yesterday", "date must be"),
        ("Patient/a", "is no search"),
        ("Rock?_id=1", "Rock"),
    ],
)
async def test_what_cannot_be_searched_is_one_line(monkeypatch: pytest.MonkeyPatch, query: str, why: str) -> None:
    async with fhir_client() as client:
        told = await explained(client, monkeypatch, query)
        assert told.exit_code == 1
        assert why in told.stderr
        assert told.stderr.count("\n") == 1


async def test_an_unknown_tenant_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fhir_client() as client:
        told = await explained(client, monkeypatch, "--tenant", "nobody", "Patient")
        assert (told.exit_code, "no tenant nobody" in told.stderr) == (1, True)
