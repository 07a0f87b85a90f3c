"""Responses and Questionnaires, case by case: every finding with its severity, code, place and what it says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.findings import Findings
from fhir_server.validation.questionnaires import check_questionnaire, check_response

Json = dict[str, Any]
CASES = Path(__file__).parent / "cases"
URL = "http://example.org/Questionnaire/q"


class Told:
    """Answers that are all there: one Questionnaire, and the codes of value sets."""

    def __init__(self, questionnaire: Json, members: dict[str, list[str]], concepts: list[str]) -> None:
        self._questionnaire = questionnaire
        self._members = members
        self._concepts = concepts

    def profile(self, canonical: str) -> None:
        return None

    def resource(self, kind: str, canonical: str) -> Json | None:
        return self._questionnaire if (kind, canonical) == ("Questionnaire", URL) else None

    def member(self, value_set: str, coding: Coding) -> Membership:
        if value_set not in self._members:
            return Membership(None, f"{value_set} is not known.")
        holds = f"{coding.system}|{coding.code}" in self._members[value_set]
        return Membership(holds, display="Named" if holds and coding.display == "Wrong" else "")

    def concept(self, coding: Coding) -> Membership:
        return Membership(f"{coding.system}|{coding.code}" in self._concepts)


def load(name: str) -> list[Any]:
    file = json.loads((CASES / name).read_text(), parse_float=Decimal)
    common = {key: value for key, value in file.items() if key != "cases"}
    return [pytest.param(common | case, id=f"{name[:-5]}: {case['name']}") for case in file["cases"]]


RESPONSES = [
    case
    for name in ("structure.json", "types.json", "required.json", "options.json", "enabling.json", "limits.json")
    for case in load(name)
]


def form(case: Json) -> Json:
    items = {} if case["form"] is None else {"item": case["form"]}
    more: Json = case.get("more", {})
    return {"resourceType": "Questionnaire", "url": URL, "status": "active"} | items | more


def check(case: Json, found: Findings | None) -> None:
    expected = case["found"]
    shown = [(row.severity, row.code, row.path, row.text) for row in found or ()]
    assert [row[:3] for row in shown] == [tuple(row[:3]) for row in expected], shown
    for (*_, text), (*_, part) in zip(shown, expected, strict=True):
        assert part in text
    assert found != []


@pytest.mark.parametrize("case", RESPONSES)
def test_response(case: Json) -> None:
    response: Json = {"resourceType": "QuestionnaireResponse", "questionnaire": URL} | case.get("response", {})
    status = case.get("status", "completed")
    response |= {} if status is None else {"status": status}
    response |= {} if case["items"] is None else {"item": case["items"]}

    found = check_response(response, Told(form(case), case.get("members", {}), case.get("concepts", [])))

    check(case, found)


@pytest.mark.parametrize("case", load("design.json"))
def test_questionnaire(case: Json) -> None:
    check(case, check_questionnaire(form(case)))


def test_there_are_many_cases() -> None:
    assert len(RESPONSES) + len(load("design.json")) >= 120
