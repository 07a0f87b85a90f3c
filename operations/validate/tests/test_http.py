"""$validate over HTTP, on a database."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

WRONG: Json = {"resourceType": "Patient", "gender": "unknwon", "birthDate": "2024-02-30", "nmae": []}
NARRATIVE: Json = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}


def parameters(resource: Json, **more: str) -> Json:
    rows: list[Json] = [{"name": "resource", "resource": resource}]
    rows += [{"name": name, "valueUri" if name == "profile" else "valueCode": value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": rows}


@pytest.mark.parametrize("body", [WRONG, parameters(WRONG), parameters(WRONG, mode="create")])
async def test_every_issue_with_its_place(http: FhirClient, body: Json) -> None:
    answer = await http.post("Patient/$validate", body)
    assert answer.status_code == 200
    assert sorted(i["expression"][0] for i in answer.json()["issue"]) == [
        "Patient",
        "Patient.birthDate",
        "Patient.gender",
        "Patient.nmae",
    ]


async def test_all_is_well(http: FhirClient) -> None:
    answer = await http.post("Patient/$validate", {"resourceType": "Patient", "gender": "female", "text": NARRATIVE})
    assert answer.status_code == 200
    assert answer.json()["issue"] == [{"severity": "information", "code": "informational", "diagnostics": "All OK"}]


async def test_a_broken_invariant_refuses_and_a_best_practice_only_advises(http: FhirClient) -> None:
    patient: Json = {"resourceType": "Patient", "contact": [{"gender": "male"}]}
    answer = await http.post("Patient/$validate", patient)
    assert [(i["severity"], i["code"], i["expression"]) for i in answer.json()["issue"]] == [
        ("error", "invariant", ["Patient.contact[0]"]),
        ("warning", "invariant", ["Patient"]),
    ]
    refused = await http.post("Patient", patient)
    assert refused.status_code == 422
    assert [i["expression"] for i in refused.json()["issue"]] == [["Patient.contact[0]"]]
    accepted = await http.post("Patient", {"resourceType": "Patient", "contact": [{"name": {"family": "Doe"}}]})
    assert accepted.status_code == 201


async def test_an_instance(http: FhirClient) -> None:
    await http.put("Patient/validated", {"resourceType": "Patient", "id": "validated"})
    stored = await http.get("Patient/validated/$validate")
    assert (stored.status_code, [i["severity"] for i in stored.json()["issue"]]) == (200, ["warning"])
    other = parameters({"resourceType": "Patient", "id": "x"}, mode="update")
    answer = await http.post("Patient/validated/$validate", other)
    assert [i["expression"] for i in answer.json()["issue"] if i["severity"] == "error"] == [["Patient.id"]]
    assert (await http.get("Patient/validated/$validate?mode=delete")).status_code == 200
    assert (await http.get("Patient/nobody/$validate?mode=delete")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (parameters({"resourceType": "Patient"}, mode="other"), 400, "invalid"),
        ({"resourceType": "Parameters"}, 400, "invalid"),
    ],
)
async def test_refusals(http: FhirClient, body: Json, status: int, code: str) -> None:
    answer = await http.post("Patient/$validate", body)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


async def test_a_profile_nobody_knows_is_told_apart_from_what_is_wrong(http: FhirClient) -> None:
    answer = await http.post("Patient/$validate", parameters(WRONG, profile="http://example.org/unheard-of"))
    assert answer.status_code == 200
    unknown = [i for i in answer.json()["issue"] if i["code"] == "not-found"]
    assert [i["severity"] for i in unknown] == ["error"]
    assert "http://example.org/unheard-of" in unknown[0]["diagnostics"]
    assert len(answer.json()["issue"]) == 5
