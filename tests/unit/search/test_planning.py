"""Whole queries as plans: what the index is asked and what is tested find together what the query asks for.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from fhir_server.api import (
    And,
    Criterion,
    Everything,
    InvalidRequest,
    Key,
    Moment,
    Not,
    Nothing,
    OfType,
    Or,
    Range,
    Term,
    Updated,
)
from fhir_server.api.criteria import Checked
from fhir_server.fhir.dates import parse_range
from fhir_server.search.matching import Setting, matcher
from fhir_server.search.terms import SEPARATOR
from tests.unit.search.generating import SETS, asked, dates, resources
from tests.unit.search.memory import BASE, NOW, PARAMETERS, PARSER, TERM, Json, Memory, Sets, found_by, planned


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
async def test_a_container_is_found_by_any_one_it_contains(case: Case) -> None:
    kind, pairs, rows = case
    try:
        filters = PARSER.parse(kind, pairs, strict=True).filters
        tests = [matcher(one, PARAMETERS, Setting(NOW, BASE, SETS)) for one in filters]
    except InvalidRequest:
        reject()
    records = Memory()
    held = [all(test(row) for test in tests) for row in rows]
    records.add({"resourceType": "Basic", "id": "1", "contained": rows[:2]})
    records.add({"resourceType": "Basic", "id": "2", "contained": [{"resourceType": "Device", "id": "1"}, rows[2]]})
    for row in rows:
        records.add(row, updated=parse_range(row["meta"]["lastUpdated"])[0])
    expected = [f"Basic/{n}" for n, found in ((1, any(held[:2])), (2, held[2])) if found]
    assert await found_by(records, kind, *pairs, ("_contained", "true"), sets=Sets(SETS)) == expected
    alone = [f"{kind}/{row['id']}" for row, found in zip(rows, held, strict=True) if found]
    assert await found_by(records, kind, *pairs, ("_contained", "both"), sets=Sets(SETS)) == sorted(expected + alone)


KINDS = ["Patient", "Practitioner", "RelatedPerson"]
COMMON = ["active", "gender", "name", "identifier", "address-city", "_tag", "_profile", "_security", "phone"]


@st.composite
def cases_of_types(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[Json]]:
    """Draw what is asked of several types, and resources of these."""
    pairs = [draw(asked(PARAMETERS.of("Patient")[c]).filter(_is_given)) for c in draw(_some(COMMON))]
    rows = [draw(resources(*(PARAMETERS.of(kind)[c] for c in COMMON if c in PARAMETERS.of(kind)))) for kind in KINDS]
    return pairs, rows


def _some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases_of_types())
async def test_of_several_types_each_is_found_by_its_own_parameters(
    case: tuple[list[tuple[str, str]], list[Json]],
) -> None:
    pairs = [("_type", "Patient,Practitioner"), *case[0]]
    try:
        filters = PARSER.parse("", pairs, strict=True).filters
        tests = [matcher(one, PARAMETERS, Setting(NOW, BASE, SETS)) for one in filters]
    except InvalidRequest:
        reject()
    records = Memory()
    records.add(*case[1])
    expected = [f"{row['resourceType']}/1" for row in case[1][:2] if all(test(row) for test in tests)]
    assert await found_by(records, "", *pairs, sets=Sets(SETS)) == expected


DAY, NEXT = parse_range("2020-03-01")


@pytest.mark.parametrize(
    ("resource_type", "pairs", "where"),
    [
        ("Patient", [], Term((TERM("Patient"),), broad=True)),
        ("", [], Everything()),
        ("Patient", [("_id", "1,2")], Key(("Patient/1", "Patient/2"))),
        ("", [("_type", "Patient,Group"), ("_id", "1")], Key(("Patient/1", "Group/1"))),
        ("Patient", [("_id", "no id")], Nothing()),
        ("Patient", [("_lastUpdated", "ge2020-03-01")], And((OfType(("Patient",)), Updated(DAY)))),
        ("", [("_lastUpdated", "2020-03-01")], Updated(DAY, NEXT)),
        (
            "",
            [("_lastUpdated", "ne2020-03-01")],
            Or((Updated(None, DAY), Updated(NEXT, None))),
        ),
        ("Observation", [("date", "gt2020-03-01")], And((Term((TERM("Observation"),), broad=True), Moment(NEXT + 1)))),
        (
            "Encounter",
            [("date", "2020-03-01"), ("status", "finished")],
            And(
                (
                    Moment(DAY + 1, NEXT + 1),
                    Term((TERM(f"Encounter.status{SEPARATOR}\x1e{SEPARATOR}finished"),), broad=True),
                )
            ),
        ),
    ],
)
async def test_what_the_index_is_asked(resource_type: str, pairs: list[tuple[str, str]], where: Criterion) -> None:
    plan = await planned(Memory(), resource_type, *pairs)
    assert plan.test is None
    assert without_checks(plan.where) == without_checks(where)


def without_checks(where: Criterion) -> Criterion:
    """Return a criterion without what is only checked on its results, its parts in no order."""
    if not isinstance(where, And):
        return where
    kept = [c for c in where.conditions if not isinstance(c, Checked)]
    return And(tuple(sorted(kept, key=repr)))


@pytest.mark.parametrize(
    ("pairs", "texts"),
    [
        ([("patient", "1"), ("code", "urn:c|a")], ["Patient/1|urn:c|a"]),
        ([("subject", "Patient/1"), ("code", "A,|b")], ["Patient/1|\x1e|a", "Patient/1||b"]),
        ([("subject:Patient", "1"), ("code", "a")], ["Patient/1|\x1e|a"]),
        ([("patient", "1,2"), ("category", "a")], ["Patient/1|\x1e|a", "Patient/2|\x1e|a"]),
        ([("patient", "1"), ("code", "urn:c|")], []),
        ([("patient", "1"), ("code:not", "a")], []),
        ([("patient", "1"), ("patient", "2"), ("code", "a")], []),
        ([("subject", "Group/1"), ("code", "a")], []),
        ([("patient", "1,2"), ("code", ",".join(f"c{n}" for n in range(501)))], []),
    ],
)
async def test_a_patient_and_a_code_are_one_term(pairs: list[tuple[str, str]], texts: list[str]) -> None:
    plan = await planned(Memory(), "Observation", *pairs)
    name = f"Observation.subject+Observation.{pairs[-1][0]}{SEPARATOR}"
    expected = tuple(TERM(name + text.replace("|", SEPARATOR)) for text in texts)
    if texts:
        assert plan.where == Term(expected)
    else:
        assert isinstance(plan.where, And)
        assert len(plan.where.conditions) == len(pairs)


async def test_what_few_are_expected_for_is_asked_first() -> None:
    plan = await planned(
        Memory(),
        "Patient",
        ("gender:not", "male"),
        ("active", "true"),
        ("family", "a"),
        ("identifier", "1"),
        ("_id", "1"),
    )
    assert isinstance(plan.where, And)
    kinds = [type(c) for c in plan.where.conditions]
    assert kinds == [Key, Term, Range, Term, Not]
    assert [c.broad for c in plan.where.conditions if isinstance(c, Term)] == [False, True]
