"""The terminology tests of HL7 over the wire, a server for each suite: storage, search and HTTP have a part in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.terminology.comparing import as_r5, differences
from tests.conformance.terminology.official_suite import FOLDER, OPERATIONS, Case, cases

DEVIATIONS: dict[str, str] = json.loads((Path(__file__).parent / "deviations.json").read_text(encoding="utf-8"))
SUITES = {
    name: list(rows) for name, rows in groupby((c for c in cases() if c.mode == "general"), key=lambda case: case.suite)
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not SUITES, reason=f"the terminology tests of HL7 are not here ({FOLDER})"),
]


@pytest.fixture
async def empty() -> AsyncIterator[FhirClient]:
    async with fhir_client() as client:
        yield client


async def _load(client: FhirClient, case: Case) -> list[dict[str, object]]:
    """Store what a suite needs; return, as parameters, what is of R5 and no valid R4: that goes with each request."""
    refused: list[dict[str, object]] = []
    for resource in case.setup:
        answer = await client.post(resource["resourceType"], resource)
        if answer.status_code == 422:
            refused.append({"name": "tx-resource", "resource": resource})
        else:
            assert answer.status_code == 201, answer.text
    return refused


@pytest.mark.parametrize("suite", SUITES)
async def test_suite(suite: str, empty: FhirClient) -> None:
    sent = await _load(empty, SUITES[suite][0])
    failed = {}
    for case in SUITES[suite]:
        resource_type, code = OPERATIONS[case.operation]
        body = {**case.request, "parameter": [*case.request["parameter"], *sent]}
        headers = {"Accept-Language": case.languages} if case.languages else {}
        answer = await empty.post(f"{resource_type}/${code}", body, **headers)
        given = as_r5(answer.json())
        wrong = [list(differences(expected, given)) for expected in case.answers]
        if str(answer.status_code)[0] != case.status[0] or all(wrong):
            failed[case.id] = (answer.status_code, wrong[0])
    assert failed.keys() == {name for name in DEVIATIONS if name.startswith(f"{suite}/")}, failed
