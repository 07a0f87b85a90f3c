"""Whether one resource is a match for one filter, decided from the resource itself.

https://hl7.org/fhir/R4/search.html. This is the truth that answers from the index are held against. Each type of
parameter has its file: how its values are written, what they are compared with, and its modifiers. Chains, `_has` and
`_list` need other resources and are not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.outcomes import Issue
from fhir_server.search.matching.asking import Codes, Json, NodesTest, Setting, unsupported
from fhir_server.search.matching.composite import composite_test
from fhir_server.search.matching.date import date_test
from fhir_server.search.matching.fulltext import SOURCES, fulltext_predicate
from fhir_server.search.matching.missing import missing_test
from fhir_server.search.matching.number import number_test
from fhir_server.search.matching.position import position_test
from fhir_server.search.matching.quantity import quantity_test
from fhir_server.search.matching.reference import reference_test
from fhir_server.search.matching.string import string_test
from fhir_server.search.matching.token import token_test
from fhir_server.search.matching.uri import uri_test
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.query import Filter

__all__ = ["MODIFIERS", "Codes", "Json", "Predicate", "Setting", "matcher", "nodes_test", "predicate"]

Predicate = Callable[[Json], bool]

# Besides `:missing`, which all have, and the type names a reference can be narrowed to.
MODIFIERS: Mapping[str, frozenset[str]] = {
    "token": frozenset({"not", "text", "in", "not-in", "above", "below", "of-type"}),
    "string": frozenset({"exact", "contains"}),
    "reference": frozenset({"identifier"}),
    "uri": frozenset({"above", "below"}),
    "date": frozenset(),
    "number": frozenset(),
    "quantity": frozenset(),
    "composite": frozenset(),
    "special": frozenset(),
}
_NEAR = "near"


def matcher(one: Filter, parameters: Parameters, setting: Setting) -> Predicate:
    """Return the predicate of a filter; its values are read once, here.

    Where several types are searched, the parameter of the resource's own type decides, and a resource of a type that
    has no such parameter is no match. Raises InvalidRequest for a value the type cannot have, for a modifier it does
    not have, and for a value set or concept that `setting.codes` lacks.
    """
    if one.chain:
        raise ValueError("a chain is not decided by one resource")
    if one.parameter.code in SOURCES:
        return fulltext_predicate(one, setting)
    if not one.per_type:
        return _own(one, parameters, setting)
    by_type = {p.resource_type: _own(replace(one, parameter=p, per_type=()), parameters, setting) for p in one.per_type}

    def of_type(resource: Json) -> bool:
        found = by_type.get(resource["resourceType"])
        return found is not None and found(resource)

    return of_type


def nodes_test(one: Filter, parameters: Parameters, setting: Setting) -> NodesTest:
    """Return the test of a filter on nodes that were selected already. Raises InvalidRequest."""
    if one.modifier == "missing":
        return missing_test(one, setting)
    kind = one.parameter.type
    if kind == "composite":
        return composite_test(one, setting, parameters, _TESTS)
    if one.modifier and kind != "reference" and one.modifier not in MODIFIERS.get(kind, ()):
        raise unsupported(one)
    if kind == "special" and one.parameter.code != _NEAR:
        raise unsupported(one)
    return _TESTS[kind](one, setting)


def predicate(parameter: Parameter, test: NodesTest) -> Predicate:
    """Return the predicate that puts what the parameter selects to the test."""
    evaluate = parameter.path.evaluate
    return lambda resource: test(evaluate(resource), resource)


def _own(one: Filter, parameters: Parameters, setting: Setting) -> Predicate:
    if not one.parameter.expression:
        text = f"{one.parameter.code} selects nothing of a resource and cannot be searched by here."
        raise InvalidRequest(issues=[Issue("not-supported", text, location=one.location)])
    return predicate(one.parameter, nodes_test(one, parameters, setting))


_TESTS: dict[str, Callable[[Filter, Setting], NodesTest]] = {
    "token": token_test,
    "string": string_test,
    "reference": reference_test,
    "uri": uri_test,
    "date": date_test,
    "number": number_test,
    "quantity": quantity_test,
    "special": position_test,
}
