"""What a caller gives and gets: nodes, contexts, variables, the environment, budgets. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhir.fhirpath import (
    Environment,
    FhirPathBudgetExceeded,
    FhirPathEvaluationError,
    FhirPathNotSupported,
    Node,
    Quantity,
    compile,
)

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "subject": {"reference": "#p"},
    "contained": [{"resourceType": "Patient", "id": "p"}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]},
    "component": [
        {
            "code": {"text": "a"},
            "valueQuantity": {"value": Decimal("1.50"), "code": "g", "system": "http://unitsofmeasure.org"},
        },
        {"code": {"text": "b"}, "valueString": "text"},
    ],
}


def values(expression: str, node: Any, root_type: str | None = None, **context: Any) -> list[Any]:
    return [node.value for node in compile(expression, root_type).evaluate(node, **context)]


def test_nodes_carry_value_type_and_extensions() -> None:
    resource = {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "u"}]}, "gender": "male"}
    for root_type in ("Patient", None):
        assert compile("gender | birthDate", root_type).evaluate(resource) == [
            Node("male", "code"),
            Node(None, "date", {"extension": [{"url": "u"}]}),
        ]


def test_elements_are_evaluated_with_their_type() -> None:
    component = OBSERVATION["component"][0]
    expression = compile("value.as(Quantity)", "Observation.component")
    assert expression.evaluate(component) == [Node(component["valueQuantity"], "Quantity")]
    assert expression.evaluate(Node(component, "Observation.component")) == [
        Node(component["valueQuantity"], "Quantity")
    ]
    dynamic = compile("value as Quantity")
    assert dynamic.evaluate(Node(component, "Observation.component")) == [Node(component["valueQuantity"], "Quantity")]


def test_abstract_root_type_goes_by_what_the_resource_says() -> None:
    assert values("Resource.id", {"resourceType": "Patient", "id": "x"}, "Resource") == ["x"]
    assert values("Patient.id", {"resourceType": "Patient", "id": "x"}, "DomainResource") == ["x"]


def test_branches_of_other_types_are_dropped() -> None:
    expression = "Patient.name.family | Practitioner.name.family | Patient.id"
    assert values(expression, {"resourceType": "Practitioner", "name": [{"family": "A"}]}, "Practitioner") == ["A"]
    assert values(expression, {"resourceType": "Observation"}, "Observation") == []


def test_compiled_expressions_are_shared() -> None:
    assert compile("name.given", "Patient") is compile("name.given", "Patient")
    assert compile("name.given", "Patient") is not compile("name.given")
    assert repr(compile("id", "Patient")) == "Expression('id', root_type='Patient')"


def test_results_do_not_share_state() -> None:
    expression = compile("true")
    expression.evaluate({"resourceType": "Patient"}).clear()
    assert expression.evaluate({"resourceType": "Patient"}) == [Node(True, "System.Boolean")]


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("active", False),
        ("{}", None),
        ("name", True),
        ("gender", None),
        ("name.exists()", True),
        ("gender.iif(empty(), true, false)", True),
    ],
)
def test_boolean(expression: str, truth: bool | None) -> None:
    resource = {"resourceType": "Patient", "active": False, "name": [{"text": "a"}]}
    assert compile(expression).boolean(resource) is truth
    assert compile(expression, "Patient").boolean(resource) is truth


def test_boolean_of_many_items_is_an_error() -> None:
    resource = {"resourceType": "Patient", "name": [{"text": "a"}, {"text": "b"}]}
    with pytest.raises(FhirPathEvaluationError, match="a condition is one item, not 2"):
        compile("name", "Patient").boolean(resource)


def test_resource_and_root_are_the_callers() -> None:
    patient = OBSERVATION["contained"][0]
    context = {"resource": patient, "root": OBSERVATION}
    assert values("%resource.id", patient, **context) == ["p"]
    assert values("%rootResource.status", patient, **context) == ["final"]
    assert values("%rootResource.status", patient, resource=Node(OBSERVATION, "Observation")) == ["final"]
    assert values("%resource.status", Node(OBSERVATION["code"], "CodeableConcept"), resource=OBSERVATION) == ["final"]


def test_variables() -> None:
    variables = {
        "patient": {"resourceType": "Patient", "id": "v"},
        "codes": ["a", "b"],
        "node": Node({"text": "t"}, "CodeableConcept"),
        "number": 3,
        "flag": True,
        "amount": Decimal("1.5"),
        "nothing": None,
        "bad": object(),
    }
    assert values("%patient.id", {"resourceType": "Patient"}, variables=variables) == ["v"]
    assert values("%codes", {"resourceType": "Patient"}, variables=variables) == ["a", "b"]
    assert values("%node.text", {"resourceType": "Patient"}, variables=variables) == ["t"]
    assert values("%number + %amount", {"resourceType": "Patient"}, variables=variables) == [Decimal("4.5")]
    assert values("%flag and %nothing.empty()", {"resourceType": "Patient"}, variables=variables) == [True]
    with pytest.raises(FhirPathEvaluationError, match="%bad is not a node, a resource or a scalar"):
        values("%bad", {"resourceType": "Patient"}, variables=variables)
    with pytest.raises(FhirPathEvaluationError, match="there is no variable %missing"):
        values("%missing", {"resourceType": "Patient"}, variables=variables)


def test_clock_must_be_supplied() -> None:
    with pytest.raises(FhirPathEvaluationError, match="need a clock"):
        values("now()", {"resourceType": "Patient"})


def test_clock_is_read_once() -> None:
    ticks = iter([datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)])
    found = values("now() | now()", {"resourceType": "Patient"}, environment=Environment(now=lambda: next(ticks)))
    assert found == ["2026-01-02T03:04:05.000+00:00"]


def test_trace_is_told() -> None:
    seen: list[tuple[str, list[Any]]] = []
    environment = Environment(trace=lambda name, nodes: seen.append((name, [node.value for node in nodes])))
    resource = {"resourceType": "Patient", "name": [{"family": "A"}]}
    assert values("name.trace('n', family).family.trace('f')", resource, environment=environment) == ["A"]
    assert seen == [("n", ["A"]), ("f", ["A"])]


def test_terminology_and_profiles_are_asked() -> None:
    environment = Environment(
        member_of=lambda node, url: node.value == "final" if url == "known" else None,
        conforms_to=lambda node, url: url == "yes",
        html_checks=lambda text: text == "ok",
    )
    assert values("status.memberOf('known')", OBSERVATION, environment=environment) == [True]
    assert values("status.memberOf('unknown')", OBSERVATION, environment=environment) == []
    assert values("conformsTo('yes')", OBSERVATION, environment=environment) == [True]
    assert values("'ok'.htmlChecks()", OBSERVATION, environment=environment) == [True]
    with pytest.raises(FhirPathNotSupported, match="needs terminology"):
        values("status.memberOf('known')", OBSERVATION)


def test_resolver_is_asked_first_and_may_not_know() -> None:
    known = {"Patient/1": {"resourceType": "Patient", "id": "1", "gender": "male"}}
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "performer": [{"reference": "urn:uuid:1"}, {"reference": "Practitioner/2"}],
    }
    environment = Environment(resolve=known.get)
    assert values("subject.resolve().gender", resource, "Observation", environment=environment) == ["male"]
    assert values("performer.resolve().id", resource, "Observation", environment=environment) == ["2"]
    assert values("subject.resolve().gender", resource, "Observation") == []


def test_where_resolves_uses_the_resolver_too() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}
    environment = Environment(resolve=lambda reference: {"resourceType": "Patient", "id": "1"})
    expression = "Observation.subject.where(resolve() is Patient).reference"
    assert values(expression, resource, "Observation") == []
    assert values(expression, resource, "Observation", environment=environment) == ["urn:uuid:1"]


def test_where_resolves_looks_into_the_container() -> None:
    inner = {"resourceType": "Observation", "subject": {"reference": "#p"}}
    expression = "Observation.subject.where(resolve() is Patient).reference"
    assert values(expression, inner, "Observation") == []
    assert values(expression, inner, "Observation", root=OBSERVATION) == ["#p"]
    assert values(expression, OBSERVATION, "Observation") == ["#p"]


@pytest.mark.parametrize(
    "expression",
    [
        "(1).repeat($this + 1)",
        "descendants().select(%context.descendants()).select(%context.descendants())",
        "(1 | 2 | 3).aggregate($total.combine($total).combine($this), 1 | 2).select(%resource.descendants()).count()",
        "('ab').repeat($this & $this)",
        "'aaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')",
    ],
)
def test_work_is_bounded(expression: str) -> None:
    with pytest.raises(FhirPathBudgetExceeded, match="more than 50 steps"):
        compile(expression).evaluate(OBSERVATION, environment=Environment(max_steps=50))


def test_deep_data_is_walked_to_its_end() -> None:
    resource = {"resourceType": "Questionnaire"}
    level: dict[str, Any] = resource
    for _ in range(40):
        level["item"] = [{"linkId": "x"}]
        level = level["item"][0]
    assert values("descendants().linkId.count()", resource) == [40]
    assert values("repeat(item).linkId.count()", resource) == [40]


def test_expression_too_deep_to_evaluate_is_an_error_not_a_crash() -> None:
    expression = compile("1" + " + 1" * 300)
    assert expression.evaluate(OBSERVATION)[0].value == 301

    def evaluate_below(frames: int) -> None:
        if frames:
            evaluate_below(frames - 1)
        else:
            expression.evaluate(OBSERVATION)

    with pytest.raises(FhirPathBudgetExceeded, match="nested too deep to evaluate"):
        evaluate_below(sys.getrecursionlimit() - 200 - len(inspect.stack(0)))


def test_values_of_wrong_json_types_are_not_taken_for_right() -> None:
    resource = {
        "resourceType": "Patient",
        "active": "true",
        "birthDate": 5,
        "name": [5, {"given": "no list", "family": ["list"]}, None],
        "telecom": {"value": "alone"},
        "maritalStatus": ["x", {"text": "listed"}],
        "contained": {"resourceType": "Organization", "id": "o"},
        "link": "nothing",
    }
    for root_type in ("Patient", None):
        assert compile("active", root_type).boolean(resource) is None
        assert values("birthDate = birthDate", resource, root_type) == [True]
        assert values("birthDate | birthDate", resource, root_type) == [5]
        assert values("name.given", resource, root_type) == ["no list"]
        assert values("name.family", resource, root_type) == ["list"]
        assert values("telecom.value", resource, root_type) == ["alone"]
        assert values("maritalStatus.text", resource, root_type) == ["listed"]
        assert values("contained.id", resource, root_type) == ["o"]
        assert values("link.other", resource, root_type) == []
        with pytest.raises(FhirPathEvaluationError, match="cannot be compared"):
            values("birthDate < @2020", resource, root_type)


def test_numbers_too_large_to_write_out_are_left_alone() -> None:
    huge = Decimal("1e999999999")
    resource = {
        "resourceType": "Observation",
        "valueQuantity": {"value": huge, "code": "g", "system": "http://unitsofmeasure.org"},
    }
    assert values("value.value", resource, "Observation") == [huge]
    assert values("value.value + 1", resource, "Observation") == []
    assert values("value.value.truncate()", resource, "Observation") == []
    assert values("value.value.toString()", resource, "Observation") == ["1E+999999999"]
    assert values("value > 1 'mg'", resource, "Observation") == []
    assert values("value.value ~ 1", resource, "Observation") == [False]


def test_quantities_with_comparators_are_not_compared() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": 5, "comparator": "<", "unit": "x"}}
    assert values("value < 6 'x'", resource) == []
    assert values("value = value", resource) == [True]
    resource["valueQuantity"] = {"value": 5, "unit": "x", "system": "http://example.org"}
    assert values("value = value", resource) == [True]
    assert compile("value.toQuantity()").evaluate(resource)[0].value == Quantity(Decimal(5), "http://example.org|x")


def test_expressions_are_thread_safe() -> None:
    expression = compile("component.where(code.text = %wanted).select($this.code.text & %wanted)", "Observation")

    def run(number: int) -> list[Any]:
        wanted = "ab"[number % 2]
        return [node.value for node in expression.evaluate(OBSERVATION, variables={"wanted": wanted})]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(400))) == [["aa"], ["bb"]] * 200
