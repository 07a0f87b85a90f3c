"""Whole queries as plans: what the index is asked and what is tested find together what the query asks for.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from fhir_server.api import InvalidRequest
from fhir_server.fhir.dates import parse_range
from fhir_server.search.matching import Setting, matcher
from tests.unit.search.generating import SETS, asked, dates, resources
from tests.unit.search.memory import BASE, NOW, PARAMETERS, PARSER, Json, Memory, Sets, found_by, planned


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


TOGETHER = {
    "Observation": ("patient", "subject", "code", "category", "date", "status", "_tag"),
    "Condition": ("patient", "code", "category", "onset-date", "onset-age", "recorded-date"),
    "Encounter": ("patient", "date", "location-period", "class", "length"),
    "Task": ("period", "patient", "code", "modified"),
    "MedicationRequest": ("authoredon", "date", "patient", "code"),
    "Patient": ("birthdate", "family", "gender", "identifier", "organization"),
}
CHANGED = ["2020-02-29T23:59:59.000Z", "2020-03-01T00:00:00.000Z", "2020-03-01T00:00:00.001Z", "2025-12-31T00:00:00Z"]
Case = tuple[str, list[tuple[str, str]], list[Json]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a query of several parameters and some resources."""
    kind = draw(st.sampled_from(sorted(TOGETHER)))
    parameters = [PARAMETERS.of(kind)[code] for code in TOGETHER[kind]]
    pairs = []
    for parameter in draw(st.lists(st.sampled_from(parameters), min_size=1, max_size=4)):
        plainly = st.tuples(st.just(parameter.code), PATIENTS)
        pairs.append(draw(plainly if parameter.code == "patient" else asked(parameter).filter(_is_given)))
    changed = st.sampled_from(CHANGED)
    pairs += draw(st.lists(st.sampled_from(["1", "2,3", "3"]).map(lambda ids: ("_id", ids)), max_size=1))
    pairs += draw(st.lists(st.tuples(st.just("_lastUpdated"), dates(CHANGED)), max_size=1))
    rows = draw(st.lists(st.tuples(resources(*parameters), changed), min_size=3, max_size=3))
    return kind, pairs, [
        {**row, "id": str(n), "meta": {**row.get("meta", {}), "lastUpdated": at}} for n, (row, at) in enumerate(rows, 1)
    ]  # fmt: skip


def _is_given(pair: tuple[str, str]) -> bool:
    """Whether the sets have what a pair needs: they know no concepts above and below others."""
    return not pair[0].endswith((":above", ":below"))


PATIENTS = st.sampled_from(["Patient/1", "1", "2", f"{BASE}/Patient/1", "Patient/1,Patient/2", "urn:uuid:1"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
async def test_a_query_finds_what_each_of_its_filters_finds(case: Case) -> None:
    kind, pairs, rows = case
    setting = Setting(NOW, BASE, SETS)
    try:
        filters = PARSER.parse(kind, pairs, strict=True).filters
        tests = [matcher(one, PARAMETERS, setting) for one in filters]
    except InvalidRequest:
        reject()
    records = Memory()
    for row in rows:
        records.add(row, updated=parse_range(row["meta"]["lastUpdated"])[0])
    records.add({"resourceType": "Basic", "id": "1"})
    expected = [f"{kind}/{row['id']}" for row in rows if all(test(row) for test in tests)]
    assert await found_by(records, kind, *pairs, sets=Sets(SETS)) == expected
