"""The CapabilityStatement says what the server does. https://hl7.org/fhir/R4/http.html#capabilities"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


@pytest.fixture
async def rest(shared_server: FhirClient) -> Json:
    """CapabilityStatement.rest of the server."""
    answer = await shared_server.get("metadata")
    assert answer.status_code == 200
    assert (answer.json()["resourceType"], answer.json()["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    found: Json = answer.json()["rest"][0]
    return found


async def test_every_type_of_r4_has_every_interaction(rest: Json) -> None:
    types = [row["type"] for row in rest["resource"]]
    assert len(types) == len(set(types)) == 146
    assert {"Patient", "Observation", "Basic", "VisionPrescription"} <= set(types)
    assert not {"Resource", "DomainResource"} & set(types)
    codes = {frozenset(i["code"] for i in row["interaction"]) for row in rest["resource"]}
    assert codes == {
        frozenset(
            ("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
        )
    }
    assert {i["code"] for i in rest["interaction"]} == {"transaction", "batch", "search-system", "history-system"}


async def test_every_listed_type_can_be_searched_and_has_a_history(shared_server: FhirClient, rest: Json) -> None:
    for row in rest["resource"]:
        for path in (f"{row['type']}?_id=nobody", f"{row['type']}/_history?_count=1"):
            assert (await shared_server.get(path)).status_code == 200, path


async def test_every_listed_parameter_is_understood(shared_server: FhirClient, rest: Json) -> None:
    values = {"date": "2020", "number": "1", "quantity": "1", "reference": "Patient/x", "uri": "urn:x"}
    composites = {"code-value-date": "x$2020", "code-value-quantity": "x$1", "component-code-value-quantity": "x$1"}
    own = {**composites, "combo-code-value-quantity": "x$1", "_filter": "status eq final"}
    row = next(r for r in rest["resource"] if r["type"] == "Observation")
    assert {"code", "date", "subject", "patient", "status", "_text", *own} <= {p["name"] for p in row["searchParam"]}
    for parameter in row["searchParam"]:
        path = f"Observation?{parameter['name']}={own.get(parameter['name'], values.get(parameter['type'], 'x$x'))}"
        answer = await shared_server.get(path, prefer="handling=strict")
        assert answer.status_code == 200, path


async def test_the_operations_are_those_of_the_registry(shared_server: FhirClient, rest: Json) -> None:
    services = shared_server.app.services
    assert services is not None
    registered = services.registry.operations
    assert registered
    assert {(o["name"], o["definition"]) for o in rest.get("operation", [])} == {
        (o.code, o.url) for o in registered if o.operation.system
    }
    for row in rest["resource"]:
        right = {
            (o.code, o.url)
            for o in registered
            if {row["type"], "Resource"} & set(o.types) and (o.operation.type or o.operation.instance)
        }
        listed = [(o["name"], o["definition"]) for o in row.get("operation", [])]
        assert sorted(listed) == sorted(right), row["type"]


async def test_mode_is_one_of_those_fhir_knows(shared_server: FhirClient) -> None:
    for mode in ("full", "normative"):
        assert (await shared_server.get(f"metadata?mode={mode}")).status_code == 200
    answer = await shared_server.get("metadata?mode=guess")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["location"] == ["http.mode"]
