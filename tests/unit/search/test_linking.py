"""Chains and `_has`, followed from either side: with the same results, and no further than allowed.

https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.api import InvalidRequest, Key, Nothing, TooCostly
from fhir_server.api.criteria import Present, Term
from fhir_server.fhir.json import decode_stored
from fhir_server.search import linking
from fhir_server.search.linking import Links
from fhir_server.search.planning import Planner
from fhir_server.search.terms import SEPARATOR
from tests.unit.search.memory import (
    BASE,
    INDEXER,
    PARAMETERS,
    PARSER,
    TERM,
    Json,
    Memory,
    found_by,
    planned,
    searching,
)


def patient(number: int, family: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": str(number), "name": [{"family": family}], **more}


def observation(number: int, subject: str, code: str, **more: Any) -> Json:
    coding = {"coding": [{"system": "urn:c", "code": code}]}
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "subject": {"reference": subject},
        "code": coding,
        **more,
    }


@pytest.fixture
def records() -> Memory:
    memory = Memory()
    memory.add(
        {"resourceType": "Organization", "id": "top", "name": "Anna's"},
        {"resourceType": "Organization", "id": "ward", "name": "Ward", "partOf": {"reference": "Organization/top"}},
        {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doe"}]},
        patient(1, "Anna", managingOrganization={"reference": "Organization/ward"}),
        patient(2, "Bert", generalPractitioner=[{"reference": "Practitioner/d"}]),
        patient(3, "Anna", generalPractitioner=[{"reference": f"{BASE}/Organization/ward"}]),
        {"resourceType": "Group", "id": "1", "type": "person", "actual": True},
        observation(1, "Patient/1", "a"),
        observation(2, "Patient/2", "a"),
        observation(3, f"{BASE}/Patient/3", "b"),
        observation(4, "Group/1", "b", status="final"),
        observation(5, "https://there.example/fhir/Patient/1", "a"),
        observation(6, "Patient/1", "b", status="final"),
    )
    return memory


CHAINS = [
    ("Observation", [("subject:Patient.family", "anna")], ["o1", "o3", "o6"]),
    ("Observation", [("patient.family", "anna")], ["o1", "o3", "o6"]),
    ("Observation", [("subject.family", "bert,doe")], ["o2"]),
    ("Observation", [("subject.family", "nobody")], []),
    ("Observation", [("subject:Group.type", "person")], ["o4"]),
    ("Observation", [("subject:Patient.family", "anna"), ("code", "b")], ["o3", "o6"]),
    ("Observation", [("patient.organization.name", "ward")], ["o1", "o6"]),
    ("Observation", [("patient.organization.partof.name", "anna")], ["o1", "o6"]),
    ("Observation", [("patient.family:contains", "nn")], ["o1", "o3", "o6"]),
    ("Observation", [("patient._id", "2")], ["o2"]),
    ("Observation", [("patient._has:Observation:patient:status", "final")], ["o1", "o6"]),
    ("Patient", [("general-practitioner.name", "ward,doe")], ["2", "3"]),
    ("Patient", [("general-practitioner:Practitioner.family", "doe")], ["2"]),
    ("Patient", [("_has:Observation:patient:code", "a")], ["1", "2"]),
    ("Patient", [("_has:Observation:subject:code", "urn:c|b")], ["1", "3"]),
    ("Patient", [("_has:Observation:patient:code:text", "a")], []),
    ("Patient", [("_has:Observation:patient:code:not", "a")], ["1", "3"]),
    ("Patient", [("_has:Observation:patient:code", "a"), ("_has:Observation:patient:status", "final")], ["1"]),
    ("Patient", [("_has:Observation:patient:code", "a"), ("family", "bert")], ["2"]),
    ("Organization", [("_has:Patient:organization:_has:Observation:patient:code", "b")], ["ward"]),
    ("Organization", [("_has:Patient:organization:family", "anna"), ("partof.name", "anna")], ["ward"]),
    ("Group", [("_has:Observation:subject:code", "b")], ["1"]),
]


@pytest.mark.parametrize("few", [0, 1, 1000])
@pytest.mark.parametrize(("resource_type", "pairs", "ids"), CHAINS)
async def test_from_whichever_side_links_are_followed_the_same_is_found(
    records: Memory,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    resource_type: str,
    pairs: list[tuple[str, str]],
    ids: list[str],
) -> None:
    monkeypatch.setattr(linking, "FEW", few)
    monkeypatch.setattr(linking, "FEW_REFERRING", few)
    expected = [f"{resource_type}/{i}" for i in ids]
    assert await found_by(records, resource_type, *pairs) == expected
    assert await found_by(records, resource_type, *pairs, eager=True) == expected


def term(name: str, value: str) -> int:
    return TERM(f"{name}{SEPARATOR}{value}")


async def test_few_that_are_linked_to_are_asked_for_by_their_keys(records: Memory) -> None:
    plan = await planned(records, "Observation", ("patient.family", "anna"))
    assert plan.test is None
    assert plan.where == Term((term("Observation.subject", "Patient/1"), term("Observation.subject", "Patient/3")))
    assert [limit for _, limit in records.outlined] == [linking.FEW + 1, 1]  # and whether Patients are contained
    assert records.searches == []


async def test_few_that_refer_are_read_for_what_they_refer_to(records: Memory) -> None:
    plan = await planned(records, "Patient", ("_has:Observation:patient:code", "a"))
    assert plan.test is None
    assert plan.where == Key(("Patient/1", "Patient/2"))
    assert [limit for _, limit in records.searches] == [linking.FEW_REFERRING + 1]


async def test_what_nothing_is_linked_to_asks_for_nothing(records: Memory) -> None:
    assert (await planned(records, "Observation", ("patient.family", "nobody"))).where == Nothing()
    assert (await planned(records, "Patient", ("_has:Observation:patient:code", "none"))).where == Nothing()


async def test_many_that_are_linked_to_are_looked_up_from_the_results_once(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "FEW", 1)
    monkeypatch.setattr(linking, "_BATCH", 2)
    plan = await planned(records, "Observation", ("subject:Patient.family", "anna"))
    assert Present("subject") in getattr(plan.where, "conditions", ())
    assert plan.test is not None
    records.outlined.clear()
    results = [r.json for r in rows(records, "Observation")]
    assert await plan.test(results) == [True, False, True, False, False, True]
    looked_up = [w.conditions[0] for w, _ in records.outlined if hasattr(w, "conditions")]
    assert looked_up == [Key(("Patient/1", "Patient/2")), Key(("Patient/3",))]
    records.outlined.clear()
    assert await plan.test(results[:2]) == [True, False]
    assert records.outlined == []


class Row:
    def __init__(self, raw: bytes) -> None:
        self.json: Json = decode_stored(raw)


def rows(records: Memory, resource_type: str) -> list[Row]:
    """Return the resources of a type by their keys."""
    return [Row(records.by_key[k].record.raw) for k in sorted(records.by_key) if k.startswith(resource_type + "/")]


async def test_many_that_refer_are_looked_for_from_the_results_by_the_hundred(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "FEW_REFERRING", 1)
    records.add(*(patient(n, "Cora") for n in range(10, 160)))
    plan = await planned(records, "Patient", ("_has:Observation:patient:code", "a"))
    assert plan.test is not None
    records.outlined.clear()
    held = await plan.test([r.json for r in rows(records, "Patient")])
    assert len(records.outlined) == 2
    assert [r.json["id"] for r, h in zip(rows(records, "Patient"), held, strict=True) if h] == ["1", "2"]


async def test_results_that_too_many_refer_to_are_looked_at_by_halves(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "FEW_REFERRING", 1)
    monkeypatch.setattr(linking, "MOST", 4)
    records.add(*(observation(n, "Patient/1", "a") for n in range(10, 13)))
    where = ("_has:Observation:patient:code", "a")
    assert await found_by(records, "Patient", where) == ["Patient/1", "Patient/2"]
    monkeypatch.setattr(linking, "MOST", 2)
    inexact = ("_has:Observation:patient:code:text", "a")
    with pytest.raises(TooCostly, match="refer to one of the results"):
        await found_by(records, "Patient", inexact)


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Observation", "patient.family", "anna"),
        ("Observation", "patient.family:contains", "ann"),
        ("Patient", "_has:Observation:patient:code", "a"),
        ("Patient", "_has:Observation:patient:code:not", "a"),
    ],
)
async def test_to_follow_links_to_all_that_match_has_an_end(
    records: Memory, monkeypatch: pytest.MonkeyPatch, resource_type: str, name: str, value: str
) -> None:
    monkeypatch.setattr(linking, "FEW", 0)
    monkeypatch.setattr(linking, "FEW_REFERRING", 0)
    expected = await found_by(records, resource_type, (name, value))
    assert expected
    assert await found_by(records, resource_type, (name, value), eager=True) == expected
    monkeypatch.setattr(linking, "MOST", 1)
    with pytest.raises(TooCostly, match="more than 1 "):
        await planned(records, resource_type, (name, value), eager=True)


async def test_the_links_of_a_request_take_so_many_searches_and_no_more(
    records: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "MAX_SEARCHES", 3)
    asked = [("patient.family", f"anna,{n}") for n in range(4)]
    assert await found_by(records, "Observation", *asked[:3]) == ["Observation/o1", "Observation/o3", "Observation/o6"]
    with pytest.raises(TooCostly, match="more than 3 searches"):
        await planned(records, "Observation", *asked)


async def test_a_search_counts_its_links(records: Memory) -> None:
    search = searching(records)
    query = PARSER.parse("Observation", [("patient.organization.name", "ward")], strict=True)
    await Planner(INDEXER, PARSER, PARAMETERS).plan(query, search)
    assert search.links.searches == 2
    assert replace(search, links=Links()).links.searches == 0


@pytest.mark.parametrize(
    ("name", "value", "location"),
    [
        ("code.name", "a", "http.code"),
        ("subject.shoe-size", "43", "http.subject"),
        ("subject:Rock.name", "a", "http.subject"),
        ("subject:Practitioner.name", "a", "http.subject"),
        ("subject:identifier.name", "a", "http.subject"),
    ],
)
async def test_what_is_no_link_is_refused(records: Memory, name: str, value: str, location: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await planned(records, "Observation", (name, value))
    assert [i.location for i in refused.value.issues] == [location]


async def test_a_chain_goes_into_contained_resources(records: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    records.add(
        {
            "resourceType": "MedicationRequest",
            "id": "1",
            "medicationReference": {"reference": "#m"},
            "contained": [
                {"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": "aspirin"}]}},
                {"resourceType": "Medication", "id": "n", "code": {"coding": [{"code": "ibuprofen"}]}},
            ],
        },
        {"resourceType": "MedicationRequest", "id": "2", "medicationReference": {"reference": "Medication/m"}},
        {"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": "aspirin"}]}},
    )
    for few in (1000, 0):
        monkeypatch.setattr(linking, "FEW", few)
        found = await found_by(records, "MedicationRequest", ("medication.code", "aspirin"))
        assert found == ["MedicationRequest/1", "MedicationRequest/2"]
        assert await found_by(records, "MedicationRequest", ("medication.code", "ibuprofen")) == []
