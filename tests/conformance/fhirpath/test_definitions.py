"""Every search parameter and every invariant of R4 compiles, for each type it is about."""

from __future__ import annotations

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import FhirPathError, compile

# {code: types} of the search parameters that have no expression to compile: they are the server's own business.
WITHOUT_EXPRESSION = {
    ("_text", "DomainResource"),
    ("_content", "Resource"),
    ("_query", "Resource"),
    ("_filter", "Resource"),
    ("age", "Patient"),
    ("birthOrderBoolean", "Patient"),
}


def failures(expressions: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    found = {}
    for expression, type_name in sorted(expressions):
        try:
            compile(expression, type_name)
        except FhirPathError as error:
            found[expression, type_name] = str(error)
    return found


def test_search_parameters_compile() -> None:
    parameters = [(parameter, base) for parameter in r4().search_parameters for base in parameter.bases]
    assert {(one.code, base) for one, base in parameters if not one.expression} == WITHOUT_EXPRESSION
    expressions = {(one.expression, base) for one, base in parameters if one.expression}
    assert len(expressions) > 1300
    assert failures(expressions) == {}


def test_components_of_composite_parameters_compile() -> None:
    expressions = set()
    for parameter in r4().search_parameters:
        for base in parameter.bases:
            for _, expression in parameter.components:
                expressions.add((expression, base))
    assert len(expressions) > 20
    assert failures(expressions) == {}


def test_invariants_of_types_compile() -> None:
    expressions = {(constraint.expression, name) for name, own in r4().types.items() for constraint in own.constraints}
    assert len(expressions) > 50
    assert failures(expressions) == {}


def test_invariants_of_elements_compile() -> None:
    expressions = {
        (constraint.expression, ref.code)
        for own in r4().types.values()
        for element in own.elements
        for ref in element.types
        for constraint in element.constraints
        if ref.code in r4().types
    }
    assert len(expressions) > 50
    assert failures(expressions) == {}
