"""_include and _revinclude. https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


@pytest.fixture
async def mark(shared_server: FhirClient) -> str:
    """The start of the ids of a Patient p, a Practitioner d, a Group g and Observations 1, 2 (of p) and 3 (of g)."""
    made = uuid4().hex
    patient, doctor, group = (
        {"reference": f"{t}/{made}-{n}"} for t, n in (("Patient", "p"), ("Practitioner", "d"), ("Group", "g"))
    )
    rows: list[Json] = [
        {"resourceType": "Patient", "id": f"{made}-p", "generalPractitioner": [doctor]},
        {"resourceType": "Practitioner", "id": f"{made}-d"},
        {"resourceType": "Group", "id": f"{made}-g", "type": "person", "actual": False},
        *(
            {
                "resourceType": "Observation", "id": f"{made}-{n}", "identifier": [{"value": made}], "status": "final",
                "code": {"text": "x"}, "subject": subject, "performer": [doctor],
            }
            for n, subject in ((1, patient), (2, patient), (3, group))
        ),
    ]  # fmt: skip
    for row in rows:
        assert (await shared_server.put(f"{row['resourceType']}/{row['id']}", row)).status_code == 201
    return made


async def modes(client: FhirClient, mark: str, path: str) -> dict[str, list[str]]:
    """Return the sorted names of matches and of what is included."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    rows: dict[str, list[str]] = {"match": [], "include": []}
    for entry in answer.json()["entry"]:
        rows[entry["search"]["mode"]].append(entry["resource"]["id"].removeprefix(f"{mark}-"))
    return {mode: sorted(found) for mode, found in rows.items()}


@pytest.mark.parametrize(
    ("query", "right"),
    [
        ("_include=Observation:subject", ["g", "p"]),
        ("_include=Observation:subject:Patient", ["p"]),
        ("_include=Observation:subject:Group", ["g"]),
        ("_include=Observation:patient", ["p"]),
        ("_include=Observation:performer&_include=Observation:subject", ["d", "g", "p"]),
        ("_include=Observation:*", ["d", "g", "p"]),
        ("_include=Encounter:subject", []),
    ],
)
async def test_include_adds_each_target_once(
    shared_server: FhirClient, mark: str, query: str, right: list[str]
) -> None:
    found = await modes(shared_server, mark, f"Observation?identifier={mark}&{query}")
    assert found == {"match": ["1", "2", "3"], "include": right}


async def test_revinclude_adds_each_referrer_once(shared_server: FhirClient, mark: str) -> None:
    path = f"Patient?_id={mark}-p"
    found = await modes(shared_server, mark, f"{path}&_revinclude=Observation:subject&_revinclude=Observation:patient")
    assert found == {"match": ["p"], "include": ["1", "2"]}
    none = await modes(shared_server, mark, f"{path}&_revinclude=Observation:subject:Group")
    assert none == {"match": ["p"], "include": []}


async def test_includes_do_not_count_and_deleted_targets_are_left_out(shared_server: FhirClient, mark: str) -> None:
    assert (await shared_server.delete(f"Group/{mark}-g")).status_code == 204
    answer = await shared_server.get(f"Observation?identifier={mark}&_include=Observation:subject")
    assert answer.json()["total"] == 3
    assert [e["resource"]["id"] for e in answer.json()["entry"] if e["search"]["mode"] == "include"] == [f"{mark}-p"]


@pytest.mark.parametrize(
    "value", ["Observation:status", "Observation:nothing", "Rock:subject", "Observation:subject:Rock"]
)
async def test_an_include_of_no_reference_is_refused(shared_server: FhirClient, value: str) -> None:
    for name in ("_include", "_revinclude"):
        answer = await shared_server.get(f"Observation?{name}={value}")
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["location"] == [f"http.{name}"]
