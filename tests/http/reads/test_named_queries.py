"""`_query`: searches with a name of their own, from plugins. https://hl7.org/fhir/R4/search.html#query"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from fhir_server.api import Operation, Parameters, Reading
from fhir_server.app import App
from fhir_server.fhir.definitions import r4
from fhir_server.kernel.registry import BadPlugin, build
from fhir_server.settings import Settings
from fhir_server.testing.client import FhirClient
from fhir_server.testing.engine import test_engine_url

DEFINITION = {
    "resourceType": "OperationDefinition",
    "url": "https://example.org/OperationDefinition/of-family",
    "name": "OfFamily",
    "status": "active",
    "kind": "query",
    "code": "of-family",
    "resource": ["Patient"],
    "system": False,
    "type": True,
    "instance": False,
    "parameter": [{"name": "beginning", "use": "in", "min": 1, "max": "1", "type": "string"}],
}


async def of_family(own: Parameters, records: Reading, now: int) -> Sequence[tuple[str, str]]:
    """Return what the query stands for."""
    return [("family", own.one("beginning")), ("active", "true")]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FhirClient]:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(DEFINITION))
    names = {k: v for k, v in os.environ.items() if k == "FHIR_MONGODB_DRIVER"}
    names |= {"FHIR_MONGODB_URL": test_engine_url(), "FHIR_DATABASE_PREFIX": f"t{uuid4().hex[:12]}"}
    settings = Settings.from_environment({**names, "FHIR_LOG_LEVEL": "error"})
    app = App(settings, build([("of-family", Operation(path, query=of_family))], r4().resource_types))
    await app.start()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as http:
            yield FhirClient(app, http)
    finally:
        await app.drop_all_data()
        await app.stop()


async def test_a_named_query_is_searched_for_by_its_name_and_pages_keep_it(server: FhirClient) -> None:
    for key, family, active in (
        ("a", "Smith", True),
        ("b", "Smythe", True),
        ("c", "Smith", False),
        ("d", "Jones", True),
    ):
        body = {"resourceType": "Patient", "id": key, "name": [{"family": family}], "active": active}
        assert (await server.put(f"Patient/{key}", body)).status_code == 201
    first = (await server.get("Patient?_query=of-family&beginning=sm&_count=1&_sort=_id")).json()
    assert [e["resource"]["id"] for e in first["entry"]] == ["a"]
    assert "_query=of-family&beginning=sm" in first["link"][0]["url"]
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = (await server.http.get(following)).json()
    assert [e["resource"]["id"] for e in second["entry"]] == ["b"]
    assert [link["relation"] for link in second["link"]] == ["self"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("Patient?_query=nobody", 400, "not-found"),
        ("Observation?_query=of-family&beginning=a", 400, "not-found"),
        ("Patient?_query=of-family&_query=of-family&beginning=a", 400, "not-found"),
        ("Patient?_query=of-family", 422, "required"),
    ],
)
async def test_a_query_that_is_not_there_or_lacks_its_parameter(
    server: FhirClient, query: str, status: int, code: str
) -> None:
    answer = await server.get(query)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


def test_a_definition_of_a_query_needs_the_query(tmp_path: Path) -> None:
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(DEFINITION))
    with pytest.raises(BadPlugin, match="kind"):
        build([("of-family", Operation(path))], r4().resource_types)
