"""The index never misses what matches, and where it says so it finds nothing else: for every parameter there is.

What a resource itself says (search.matching) is the truth: https://hl7.org/fhir/R4/search.html.
"""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from fhir_server.api import InvalidRequest
from fhir_server.search.conditions import Index, condition
from fhir_server.search.matching import Setting, matcher
from fhir_server.search.parameters import NOT_INDEXED, Parameter
from fhir_server.search.query import Filter
from tests.unit.search.generating import SETS, asked, resources
from tests.unit.search.memory import BASE, NOW, PARAMETERS, PARSER, TERM, Json, kept, meets

INDEX = Index(TERM, PARAMETERS, Setting(NOW, BASE, SETS))
Case = tuple[Json, Filter]


@lru_cache
def searched(of_type: str) -> list[Parameter]:
    """Return all parameters of a type that read something."""
    return [
        p
        for kind in PARAMETERS.types
        for p in PARAMETERS.of(kind).values()
        if p.type == of_type and p.expression and p.code not in (*NOT_INDEXED, "_id", "_lastUpdated")
    ]


@st.composite
def cases(draw: st.DrawFn, of_type: str) -> Case:
    """Draw a resource and a filter by a parameter that it may have a value for."""
    parameter = draw(st.sampled_from(searched(of_type)))
    name, value = draw(asked(parameter))
    (one,) = PARSER.parse(parameter.resource_type, [(name, value)], strict=True).filters
    return draw(resources(parameter)), one


def held_against_the_resource(case: Case) -> None:
    resource, one = case
    try:
        matches = matcher(one, PARAMETERS, INDEX.setting)(resource)
        made = condition(one, INDEX)
    except InvalidRequest:
        reject()
    held = meets(kept(resource), made.where)
    assert held or not matches, "the index misses it"
    assert matches or not held or not made.exact, "the index says it is exact"


@pytest.mark.parametrize(
    "of_type", ["token", "reference", "string", "uri", "date", "number", "quantity", "special", "composite"]
)
def test_the_index_misses_nothing(of_type: str) -> None:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cases(of_type))
    def held(case: Case) -> None:
        held_against_the_resource(case)

    held()
