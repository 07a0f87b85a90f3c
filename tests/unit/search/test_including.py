"""What a page includes: each once, followed on only where asked, and no more than can be shown.

https://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

import pytest

from fhir_server.api import TooCostly
from fhir_server.search import including
from fhir_server.search.including import Including
from tests.unit.search.memory import BASE, PARAMETERS, PARSER, TERM, Json, Memory


def referring(resource_type: str, name: str, **references: str) -> Json:
    """Return a resource with references by their elements."""
    return {"resourceType": resource_type, "id": name, **{e: {"reference": r} for e, r in references.items()}}


@pytest.fixture
def records() -> Memory:
    memory = Memory()
    memory.add(
        referring("Patient", "p", managingOrganization="Organization/ward"),
        referring("Patient", "q", managingOrganization=f"{BASE}/Organization/top/_history/3"),
        referring("Group", "g"),
        referring("Organization", "ward", partOf="Organization/house"),
        referring("Organization", "house", partOf="Organization/top"),
        referring("Organization", "top", partOf="Organization/ward"),  # a circle
        referring("Encounter", "e", subject="Patient/p", serviceProvider="Organization/ward"),
        referring("Observation", "1", subject="Patient/p", encounter="Encounter/e"),
        referring("Observation", "2", subject="Group/g"),
        referring("Observation", "3", subject="https://there.example/fhir/Patient/q", encounter="Encounter/gone"),
        {
            **referring("Observation", "4", subject="Patient/q"),
            "hasMember": [{"reference": "Observation/1"}, {"reference": "Observation/4"}, {"reference": "#c"}],
        },
        referring("Provenance", "w", agent=""),
        {"resourceType": "Provenance", "id": "v", "target": [{"reference": "Observation/1"}]},
        {
            "resourceType": "Appointment",
            "id": "a",
            "participant": [{"actor": {"reference": "Patient/p"}}, {"actor": {"reference": "Group/g"}}],
        },
        {"resourceType": "Questionnaire", "id": "v1", "url": "http://x.example/q", "version": "1"},
        {"resourceType": "Questionnaire", "id": "v2", "url": "http://x.example/q", "version": "2"},
        {"resourceType": "Questionnaire", "id": "other", "url": "http://x.example/other"},
        {"resourceType": "QuestionnaireResponse", "id": "r", "questionnaire": "http://x.example/q"},
        {"resourceType": "QuestionnaireResponse", "id": "s", "questionnaire": "http://x.example/q|1"},
    )
    return memory


async def included(records: Memory, page: list[str], *pairs: tuple[str, str]) -> list[str]:
    """Return the keys of what a page includes, sorted; none may come twice."""
    query = PARSER.parse(page[0].partition("/")[0], pairs, strict=True)
    found = [records.by_key[key].record for key in page]
    extra = [r.key for r in await Including(PARAMETERS, TERM, records, BASE).included(query, found)]
    assert len(set(extra)) == len(extra)
    assert set(extra).isdisjoint(page)
    return sorted(extra)


O1, O2, O3, O4 = (f"Observation/{n}" for n in range(1, 5))


@pytest.mark.parametrize(
    ("page", "include", "expected"),
    [
        ([O1], "Observation:subject", ["Patient/p"]),
        ([O1], "Observation:patient", ["Patient/p"]),
        ([O1, O2], "Observation:subject", ["Group/g", "Patient/p"]),
        ([O1, O2], "Observation:patient", ["Patient/p"]),
        ([O1, O2], "Observation:subject:Group", ["Group/g"]),
        ([O1], "Observation:*", ["Encounter/e", "Patient/p"]),
        ([O1], "*", ["Encounter/e", "Patient/p"]),
        ([O1, O2], "Observation:*:Patient", ["Patient/p"]),
        ([O1], "Encounter:subject", []),
        ([O3], "Observation:*", []),  # elsewhere, and not there
        ([O4], "Observation:has-member", [O1]),
        ([O1, O4], "Observation:has-member", []),
        (["Patient/q"], "Patient:organization", ["Organization/top"]),
        (["QuestionnaireResponse/r"], "QuestionnaireResponse:questionnaire", ["Questionnaire/v1", "Questionnaire/v2"]),
        (["QuestionnaireResponse/r"], "QuestionnaireResponse:questionnaire:Group", []),
    ],
)
async def test_what_a_page_refers_to(records: Memory, page: list[str], include: str, expected: list[str]) -> None:
    assert await included(records, page, ("_include", include)) == expected


@pytest.mark.parametrize(
    ("page", "include", "expected"),
    [
        (["Patient/p"], "Observation:subject", [O1]),
        (["Patient/p", "Patient/q"], "Observation:patient", [O1, O4]),
        (["Group/g"], "Observation:subject", [O2]),
        (["Group/g"], "Observation:patient", []),
        (["Patient/p"], "Observation:subject:Group", []),
        (["Patient/p"], "Observation:*", [O1]),
        (["Group/g"], "Observation:*", [O2]),
        (["Patient/p"], "Appointment:*", ["Appointment/a"]),
        (["Group/g"], "Appointment:*", ["Appointment/a"]),
        (["Patient/p"], "*", ["Appointment/a", "Encounter/e", O1]),
        ([O1], "Observation:has-member", [O4]),
        ([O1, O4], "Observation:has-member", []),
        ([O1], "Provenance:target", ["Provenance/v"]),
        (["Patient/p"], "Provenance:target", []),
        (
            ["Questionnaire/v1"],
            "QuestionnaireResponse:questionnaire",
            ["QuestionnaireResponse/r", "QuestionnaireResponse/s"],
        ),
        (["Questionnaire/other"], "QuestionnaireResponse:*", []),
    ],
)
async def test_what_refers_to_a_page(records: Memory, page: list[str], include: str, expected: list[str]) -> None:
    assert await included(records, page, ("_revinclude", include)) == expected


async def test_what_is_included_is_followed_only_by_what_iterates(records: Memory) -> None:
    subject, organization = ("_include", "Observation:subject"), "Patient:organization"
    assert await included(records, [O1], subject, ("_include", organization)) == ["Patient/p"]
    assert await included(records, [O1], subject, ("_include:iterate", organization)) == [
        "Organization/ward",
        "Patient/p",
    ]
    assert await included(records, [O1], ("_include:iterate", "Observation:subject"), ("_include", organization)) == [
        "Patient/p"
    ]


async def test_a_circle_ends(records: Memory) -> None:
    asked = ("_include:iterate", "Organization:partof")
    assert await included(records, ["Organization/ward"], asked) == ["Organization/house", "Organization/top"]
    back = ("_revinclude:iterate", "Organization:partof")
    assert await included(records, ["Organization/ward"], back) == ["Organization/house", "Organization/top"]


async def test_includes_go_both_ways_in_turn(records: Memory) -> None:
    asked = [("_revinclude", "Observation:patient"), ("_include:iterate", "Observation:encounter")]
    assert await included(records, ["Patient/p"], *asked) == ["Encounter/e", O1]
    back = [("_include", "Observation:subject"), ("_revinclude:iterate", "Encounter:patient")]
    assert await included(records, [O1], *back) == ["Encounter/e", "Patient/p"]


async def test_what_was_deleted_is_not_included(records: Memory) -> None:
    records.delete("Patient/p")
    assert await included(records, [O1], ("_include", "Observation:subject")) == []


async def test_no_more_is_included_than_can_be_shown(records: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(including, "MAX_INCLUDED", 5)
    monkeypatch.setattr(including, "_FIRST", 2)
    records.add(*(referring("Observation", f"x{n}", subject="Patient/p") for n in range(4)))
    back = ("_revinclude", "Observation:patient")
    assert await included(records, ["Patient/p"], back) == [O1, *(f"Observation/x{n}" for n in range(4))]
    with pytest.raises(TooCostly, match="more than 5"):
        await included(records, ["Patient/p", "Patient/q"], back)
    with pytest.raises(TooCostly, match="More than 5"):
        await included(records, ["Patient/p"], back, ("_revinclude", "Encounter:patient"))


async def test_no_command_is_spent_where_nothing_can_be_included(records: Memory) -> None:
    await included(records, [O2], ("_include", "Observation:encounter"), ("_revinclude", "Encounter:subject:Group"))
    assert (records.reads, records.searches) == ([], [])
