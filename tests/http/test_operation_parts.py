"""Parts of parameters that are none: refused before an operation sees them. https://hl7.org/fhir/R4/parameters.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

NAMED = [{"name": 7}, {"name": "a", "part": None}, {"name": "a", "part": [7]}]
BROKEN: list[Any] = [None, 7, {}, [None], [7], [[]], [{}], *([row] for row in NAMED)]


@pytest.mark.parametrize("parts", BROKEN)
async def test_what_are_no_parts_are_refused(shared_server: FhirClient, parts: Any) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "required", "part": parts}]}
    answer = await shared_server.post("$set-validation-policy", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["expression"] == ["Parameters.parameter[0]"]


@pytest.mark.parametrize("rows", [None, 7, {}, [None], [7], [[]]])
async def test_one_broken_validation_of_a_batch_is_told_of_alone(shared_server: FhirClient, rows: Any) -> None:
    code = [{"name": "url", "valueUri": "http://hl7.org/fhir/ValueSet/administrative-gender"}]
    good = [*code, {"name": "code", "valueCode": "male"}, {"name": "inferSystem", "valueBoolean": True}]
    given = [{"name": "validation", "resource": {"resourceType": "Parameters", "parameter": p}} for p in (rows, good)]
    answer = await shared_server.post(
        "ValueSet/$batch-validate-code", {"resourceType": "Parameters", "parameter": given}
    )
    assert answer.status_code == 200, answer.text
    first, second = (row["resource"]["resourceType"] for row in answer.json()["parameter"])
    assert (first, second) == ("OperationOutcome", "Parameters")
