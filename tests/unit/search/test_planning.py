"""Whole queries as plans: what the index is asked and what is tested find together what the query asks for.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import pytest

from fhir_server.api import InvalidRequest
from tests.unit.search.memory import Memory, planned


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Patient", "birthdate", "yesterday"),
        ("Patient", "birthdate", "xx2020"),
        ("Patient", "birthdate", "2020-02-30"),
        ("Patient", "birthdate:exact", "2020"),
        ("Patient", "identifier", "|"),
        ("Patient", "identifier:of-type", "urn:v2|MR"),
        ("Patient", "gender:exact", "male"),
        ("Patient", "gender:missing", "maybe"),
        ("Patient", "family:above", "x"),
        ("Patient", "family", "  "),
        ("Patient", "general-practitioner:Patient", "1"),
        ("Patient", "general-practitioner:Rock", "1"),
        ("Patient", "_profile:below", "urn:x"),
        ("RiskAssessment", "probability", "half"),
        ("RiskAssessment", "probability", "NaN"),
        ("RiskAssessment", "probability", "Infinity"),
        ("RiskAssessment", "probability", "1e999999"),
        ("RiskAssessment", "probability", "1e-999999999999"),
        ("Observation", "value-quantity", "5|mg"),
        ("Observation", "value-quantity", "mg|http://unitsofmeasure.org|5"),
        ("Observation", "value-quantity:exact", "5"),
        ("Observation", "code-value-quantity", "a"),
        ("Observation", "code-value-quantity", "a$b$c"),
        ("Observation", "code-value-quantity", "a$heavy"),
        ("Observation", "code-value-quantity:exact", "a$5"),
        ("Location", "near", "here"),
        ("Location", "near:exact", "1|1"),
        ("Patient", "_text", "..."),
        ("Patient", "_text:exact", "a"),
    ],
)
async def test_what_the_type_cannot_have_is_refused_by_name(resource_type: str, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await planned(Memory(), resource_type, (name, value))
    assert [i.location for i in refused.value.issues] == [f"http.{name.partition(':')[0]}"]
