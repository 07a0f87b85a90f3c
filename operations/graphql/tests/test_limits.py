"""What one query may not ask for. Refusals say too-costly, and what is meant."""

from __future__ import annotations

from typing import Any

import pytest

from operations.conftest import Records
from operations.graphql import filters, loading, output
from operations.graphql.limits import MAX_DEPTH, MAX_FHIRPATH_CHARS, MAX_FIELDS, MAX_QUERY_CHARS, MAX_TOKENS
from operations.graphql.tests.conftest import Run


@pytest.fixture(autouse=True)
def stored(records: Records) -> None:
    for number in range(4):
        records.add({"resourceType": "Patient", "id": f"p{number}", "name": [{"given": ["a", "b", "c"]}]})


async def too_costly(run: Run, on: str, query: str) -> str:
    ran = await run(on, query)
    assert ran.code == "too-costly"
    return ran.error


async def test_a_long_query(run: Run) -> None:
    query = "{ id" + " " * (MAX_QUERY_CHARS - 6) + "}"
    assert len(query) < MAX_QUERY_CHARS
    assert (await run("Patient/p0", query)).data == {"id": "p0"}
    assert "tokens" in await too_costly(run, "Patient/p0", "{ " + "id " * MAX_TOKENS + "}")
    assert "characters" in await too_costly(run, "Patient/p0", query + "  ")


def nested(depth: int) -> str:
    return "{ " + "extension { " * depth + "url" + " }" * depth + " }"


async def test_a_deep_query(run: Run) -> None:
    assert (await run("Patient/p0", nested(MAX_DEPTH - 1))).data == {}
    assert "deeper than 24 levels" in await too_costly(run, "Patient/p0", nested(MAX_DEPTH))
    assert "nested too deeply" in await too_costly(run, "Patient/p0", nested(1_200))


async def test_depth_is_counted_through_fragments(run: Run) -> None:
    links = [f"fragment f{n} on Extension {{ extension {{ extension {{ ...f{n + 1} }} }} }}" for n in range(12)]
    query = "{ extension { ...f0 } } " + " ".join(reversed(links)) + " fragment f12 on Extension { url }"
    assert "deeper" in await too_costly(run, "Patient/p0", query)


async def test_depth_is_counted_through_parts_that_were_planned_before(run: Run) -> None:
    links = [f"fragment f{n} on Extension {{ extension {{ extension {{ ...f{n + 1} }} }} }}" for n in range(12)]
    uses = [f"a{n}: extension {{ ...f{n} }}" for n in reversed(range(12))]
    query = "{ " + " ".join(uses) + " } " + " ".join(links) + " fragment f12 on Extension { url }"
    assert "deeper" in await too_costly(run, "Patient/p0", query)


async def test_fragments_that_multiply(run: Run) -> None:
    doubled = [
        f"fragment f{n} on Extension {{ a: extension {{ ...f{n + 1} }} b: extension {{ ...f{n + 1} }} }}"
        for n in range(11)
    ]
    query = "{ extension { ...f0 } } " + " ".join(doubled) + " fragment f11 on Extension { url }"
    assert "more than 1000 fields" in await too_costly(run, "Patient/p0", query)


async def test_many_fields(run: Run) -> None:
    query = "{ " + " ".join(f"a{n}: id" for n in range(MAX_FIELDS)) + " }"
    assert len((await run("Patient/p0", query)).data) == MAX_FIELDS
    assert "more than 1000 fields" in await too_costly(run, "Patient/p0", query[:-1] + "id }")


async def test_fields_on_many_types(run: Run) -> None:
    fields = " ".join(f"a{n}: id" for n in range(500))
    query = f"{{ contained {{ {fields} colour }} }}"
    assert "too many fields for all the types" in await too_costly(run, "Patient/p0", query)


async def test_many_resources(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_RESOURCES", 4)
    assert len((await run("", "{ PatientList { id } }")).data["PatientList"]) == 4
    assert "more than 4 resources" in await too_costly(run, "", "{ PatientList { id } Patient(id: p1) { id } }")


async def test_many_searches(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_COMMANDS", 5)
    query = "{ PatientList { ConditionConnection(_reference: subject) { next } } }"
    assert len((await run("", query)).data["PatientList"]) == 4
    monkeypatch.setattr(loading, "MAX_COMMANDS", 4)
    assert "more than 4 searches" in await too_costly(run, "", query)


async def test_many_values(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_VALUES", 5)  # name and given looked at, and three texts
    query = "{ name { given } }"
    assert (await run("Patient/p0", query)).data == {"name": [{"given": ["a", "b", "c"]}]}
    monkeypatch.setattr(output, "MAX_VALUES", 4)
    assert "more than 4 values" in await too_costly(run, "Patient/p0", query)


@pytest.mark.parametrize(
    "query", ["{ a: text { div } b: text { div } }", "{ text @flatten { a: div } b: text { div } }"]
)
async def test_long_texts_under_many_names(
    run: Run, records: Records, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    records.add({"resourceType": "Patient", "id": "long", "text": {"div": "x" * 640}})
    monkeypatch.setattr(output, "MAX_VALUES", 24)
    assert set((await run("Patient/long", query)).data) == {"a", "b"}
    monkeypatch.setattr(output, "MAX_VALUES", 23)
    assert "more than 23 values" in await too_costly(run, "Patient/long", query)


async def test_a_pattern_that_would_run_for_years(run: Run, records: Records) -> None:
    records.add({"resourceType": "Patient", "id": "x", "name": [{"family": "x" * 60}]})
    query = """{ name(fhirpath: "family.matches('(x+x+)+y').not()") { given family @skip(if: true) use } id }"""
    assert (await run("Patient/x", query)).data == {"name": [{}], "id": "x"}


async def test_a_long_fhirpath(run: Run) -> None:
    path = "given.exists()" + " " * (MAX_FHIRPATH_CHARS - 14)
    query = f'{{ name(fhirpath: "{path}") {{ given @first }} }}'
    assert (await run("Patient/p0", query)).data["name"] == [{"given": "a"}]
    query = f'{{ name(fhirpath: "{path} ") {{ given }} }}'
    assert "more than 2000 characters" in await too_costly(run, "Patient/p0", query)


@pytest.mark.parametrize(
    ("limit", "value", "said"), [("MAX_FHIRPATH_SECONDS", 0.0, "too long"), ("MAX_FHIRPATH_STEPS", 3, "too many steps")]
)
async def test_costly_fhirpath(run: Run, monkeypatch: pytest.MonkeyPatch, limit: str, value: Any, said: str) -> None:
    query = """{ name(fhirpath: "given.where($this.length() > 0).exists()") { given } }"""
    assert len((await run("Patient/p0", query)).data["name"]) == 1
    monkeypatch.setattr(filters, limit, value)
    assert said in await too_costly(run, "Patient/p0", query)
