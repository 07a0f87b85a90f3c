"""A look at the JSON tells slices apart as the walk of nodes does; advice is asked for or not thought of."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Coding, Membership
from fhir_server.fhir.fhirpath import Node
from fhir_server.validation.profiles import Run, compile_profile
from fhir_server.validation.profiles.conditions import Plain, reached, together, typed, valued
from fhir_server.validation.profiles.steps import parsed
from fhir_server.validation.profiles.values import having, same_as

Json = dict[str, Any]
LOINC: Json = {"system": "http://loinc.org", "code": "8480-6"}
OTHER: Json = {"system": "http://loinc.org", "code": "8462-4"}


class Asked:
    """Answers of nobody, which count what they are asked about codes."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def profile(self, canonical: str) -> None:
        return None

    def resource(self, kind: str, canonical: str) -> None:
        return None

    def member(self, value_set: str, coding: Coding) -> Membership:
        self.codes.append(coding.code)
        return Membership(False)

    def concept(self, coding: Coding) -> Membership:
        return Membership(None)


def plain(path: str, *tests: Any) -> Plain:
    found = reached(parsed(path) or (), valued(tests))
    assert isinstance(found, Plain)
    return found


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"code": {"coding": [OTHER, LOINC]}}, True),
        ({"code": {"coding": [LOINC | {"display": "Systolic"}]}}, True),
        ({"code": {"coding": [{"code": " 8480-6 ", "system": "http://loinc.org"}]}}, True),
        ({"code": {"coding": [OTHER]}}, False),
        ({"code": {"coding": [{"code": "8480-6"}]}}, False),
        ({"code": {"coding": LOINC}}, True),
        ({"code": {"coding": ["8480-6", None]}}, False),
        ({"code": {"text": "Systolic"}}, False),
        ({"code": "8480-6"}, False),
        ({"code": None}, False),
        ({}, False),
    ],
)
def test_json_tells_what_nodes_tell(value: Json, answer: bool) -> None:
    run = Run(Asked(), {"resourceType": "Observation"})
    condition = together([plain("code.coding.code", same_as("8480-6")), plain("code.coding", having(LOINC))])
    assert isinstance(condition, Plain)
    test = condition.test_of("Observation.component")
    assert test is not None
    assert test(value) is answer
    assert condition(Node(value, "Observation.component"), run) is answer


def test_types_are_told_without_the_value() -> None:
    test = typed(lambda kind: kind == "Quantity").test_of
    quantity, text = test("Quantity"), test("string")
    assert quantity is not None
    assert text is not None
    assert (quantity({}), text("x")) == (True, False)


@pytest.mark.parametrize("path", ["value", "contained.id", "subject.resolve()", "extension('http://e.org/x').value"])
def test_what_json_does_not_name_alone_is_left_to_the_nodes(path: str) -> None:
    assert plain(path, same_as("x")).test_of("Observation") is None


def test_advice_that_nobody_wants_costs_no_question() -> None:
    binding = {"strength": "extensible", "valueSet": "http://vs.org/v"}
    elements: list[Json] = [{"path": "Patient"}, {"path": "Patient.maritalStatus", "binding": binding}]
    held = compile_profile({"url": "http://e.org/bound", "type": "Patient"}, elements)
    patient = {"resourceType": "Patient", "maritalStatus": {"coding": [{"system": "http://s.org", "code": "x"}]}}
    answers = Asked()
    assert held.check(patient, Run(answers, patient)) is None
    assert answers.codes == []
    found = held.check(patient, Run(answers, patient, advice=True))
    assert found is not None
    assert [(row.severity, row.path) for row in found] == [("warning", ".maritalStatus")]
    assert answers.codes == ["x"]
