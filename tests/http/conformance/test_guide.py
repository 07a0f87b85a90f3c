"""What docs/guide/validation.md says, done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fhir_server.testing.client import FhirClient

pytestmark = pytest.mark.engine
GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "validation.md"


async def test_the_guides_profile_claim_and_policy(server: FhirClient) -> None:
    profile, claim, policy = map(json.loads, re.findall(r"```json\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))
    assert (await server.put(f"StructureDefinition/{profile['id']}", profile)).status_code == 201
    refused = await server.post("Patient", claim)
    assert refused.status_code == 422
    places = sorted(issue["expression"][0] for issue in refused.json()["issue"])
    assert places == ["Patient.identifier[0].value", "Patient.name[0].family"]
    shown = await server.post("$set-validation-policy", policy)
    assert shown.status_code == 200
    assert [part for part in shown.json()["parameter"][1]["part"] if part["name"] != "match"] == policy["parameter"][1][
        "part"
    ]
    assert (await server.get("$validation-policy")).json() == shown.json()
    unclaimed = {k: v for k, v in claim.items() if k != "meta"}
    assert (await server.post("Patient", unclaimed)).status_code == 422
