"""$snapshot over HTTP, on a database."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

CORE = "http://hl7.org/fhir/StructureDefinition/"
NAMED: Json = {
    "resourceType": "StructureDefinition",
    "id": "named-patient",
    "url": "http://example.org/named-patient",
    "name": "NamedPatient",
    "status": "draft",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "derivation": "constraint",
    "baseDefinition": CORE + "Patient",
    "differential": {"element": [{"id": "Patient.name", "path": "Patient.name", "min": 1}]},
}


def least_names(structure: Json) -> int:
    found = [element["min"] for element in structure["snapshot"]["element"] if element["id"] == "Patient.name"]
    assert len(found) == 1
    return int(found[0])


async def test_by_url_by_definition_and_of_what_is_stored(http: FhirClient) -> None:
    answer = await http.get(f"StructureDefinition/$snapshot?url={CORE}bp")
    assert (answer.status_code, answer.json()["name"]) == (200, "observation-bp")
    answer = await http.post("StructureDefinition/$snapshot", NAMED)
    assert (answer.status_code, least_names(answer.json())) == (200, 1)
    assert (await http.put("StructureDefinition/named-patient", NAMED)).status_code in (200, 201)
    answer = await http.get("StructureDefinition/named-patient/$snapshot")
    assert (answer.status_code, least_names(answer.json())) == (200, 1)
    changed = NAMED | {"id": "x", "url": "http://example.org/x", "baseDefinition": NAMED["url"]}
    answer = await http.post("StructureDefinition/$snapshot", changed)
    assert least_names(answer.json()) == 1


async def test_the_answer_is_a_valid_structure_definition(http: FhirClient) -> None:
    made = (await http.post("StructureDefinition/$snapshot", NAMED)).json()
    answer = await http.post("StructureDefinition/$validate", made)
    assert [i for i in answer.json()["issue"] if i["severity"] == "error"] == []


async def test_refusals(http: FhirClient) -> None:
    wrong = NAMED | {"differential": {"element": [{"id": "Patient.nick", "path": "Patient.nick"}]}}
    answer = await http.post("StructureDefinition/$snapshot", wrong)
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert (issue["code"], issue["expression"]) == ("not-found", ["StructureDefinition.differential.element[0]"])
    answer = await http.get("StructureDefinition/$snapshot?url=http://example.org/nobody")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")
    assert (await http.get("StructureDefinition/$snapshot")).status_code == 400
