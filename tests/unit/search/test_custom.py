"""A tenant's own parameters beside the specification's, and expressions that misbehave."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import compile
from fhir_server.search.custom import MAX_VALUES, Bounded, Custom
from fhir_server.search.parameters import Parameters

Json = dict[str, Any]

CORE = Parameters(r4())
URL = "http://clinic.example/SearchParameter/x"


def custom(code: str = "x", bases: tuple[str, ...] = ("Patient",), expression: str = "Patient.gender") -> Custom:
    return Custom("SearchParameter/x", URL, code, "token", bases, expression, ready=True)


def values(expression: str, kind: str, resource: Json) -> list[Any]:
    return [n.value for n in Bounded(compile(expression, resource["resourceType"]), URL, kind).evaluate(resource)]


def test_a_type_has_the_tenants_beside_the_specifications() -> None:
    own = Parameters(r4(), CORE, [custom()])
    assert set(own.of("Patient")) - set(CORE.of("Patient")) == {"x"}
    assert own.of("Observation") is CORE.of("Observation")
    assert own.core("Patient") is CORE.of("Patient") is CORE.core("Patient")
    assert [p.code for p in own.indexed("Patient") if p.digest] == ["x"]


def test_a_parameter_of_every_resource_is_one_of_each_type() -> None:
    own = Parameters(r4(), CORE, [custom(bases=("Resource",), expression="Resource.language")])
    assert own.of("Patient")["x"].index_name.startswith("Patient.x@")
    assert own.of("Binary")["x"].expression == "Resource.language"


def test_one_that_is_not_ready_is_indexed_and_not_searched() -> None:
    waiting = msgspec.structs.replace(custom(), ready=False)
    own = Parameters(r4(), CORE, [waiting])
    assert "x" not in own.of("Patient")
    assert list(own.unready("Patient")) == ["x"]
    assert [p.code for p in own.indexed("Patient") if p.digest] == ["x"]
    assert own.unready("Observation") == CORE.unready("Patient") == {}


def test_the_specifications_parameter_stays_under_its_code() -> None:
    own = Parameters(r4(), CORE, [custom("gender", expression="Patient.active")])
    assert own.of("Patient")["gender"] is CORE.of("Patient")["gender"]


def test_what_reads_something_else_never_shares_an_index() -> None:
    first, second = custom(), custom(expression="Patient.active")
    names = {Parameters(r4(), CORE, [c]).of("Patient")["x"].index_name for c in (first, second)}
    presences = {Parameters(r4(), CORE, [c]).of("Patient")["x"].presence for c in (first, second)}
    assert len(names) == len(presences) == 2
    assert CORE.of("Patient")["gender"].presence == "gender"


def test_only_what_the_parameter_can_index_is_selected() -> None:
    resource: Json = {"resourceType": "Observation", "status": "final", "valueQuantity": {"value": 1, "unit": "kg"}}
    assert values("Observation.value | Observation.status", "token", resource) == ["final"]
    assert values("Observation.value | Observation.status", "quantity", resource) == [{"value": 1, "unit": "kg"}]


@pytest.mark.parametrize(
    "expression",
    [
        "Patient.name.given.single()",
        "Patient.repeat(name | telecom).given + 1",
        "Patient.descendants().descendants().descendants().descendants()",
        "Patient.name.given.select($this & $this).select($this & $this).toInteger() / 0",
        "Patient.name.where(given.select(%resource.descendants().count()).count() > 0).given",
        "(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9).select(%resource.descendants().descendants()).count()",
    ],
)
def test_an_expression_that_fails_or_never_ends_selects_nothing_and_says_so_once(
    expression: str, caplog: pytest.LogCaptureFixture
) -> None:
    resource: Json = {"resourceType": "Patient", "name": [{"given": [f"n{i}" for i in range(200)]} for _ in range(50)]}
    path = Bounded(compile(expression, "Patient"), URL, "token")
    with caplog.at_level(logging.WARNING):
        assert path.evaluate(resource) == []
        assert path.evaluate(resource) == []
    assert [r.getMessage().partition(" error=")[0] for r in caplog.records] == [
        f"search_parameter_fails url={URL} on=Patient"
    ]


def test_a_value_too_many_is_an_error_not_a_part() -> None:
    many: Json = {"resourceType": "Patient", "name": [{"given": [f"n{i}" for i in range(MAX_VALUES)]}]}
    assert len(values("Patient.name.given", "string", many)) == MAX_VALUES
    many["name"].append({"given": ["one more"]})
    assert values("Patient.name.given", "string", many) == []
