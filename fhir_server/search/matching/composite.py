"""Composites: the parts of one value must hold for the same element. https://hl7.org/fhir/R4/search.html#combining"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.fhirpath import Expression, Node, compile
from fhir_server.fhir.outcomes import Issue
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, split, unsupported
from fhir_server.search.parameters import Component, Parameters
from fhir_server.search.query import Filter

# The definitions write some primitive types in capitals: `value.as(DateTime)`.
_CAPITAL = re.compile(r"\bas\((DateTime|Date|String|Boolean|Integer|Decimal|Uri|Code)\)")
# Definitions that give each component the other one's expression.
_CORRECTED = {("DocumentReference", "relationship"): ("target", "code")}

Tests = Mapping[str, Callable[[Filter, Setting], NodesTest]]


@dataclass(frozen=True, slots=True)
class _Part:
    expression: str
    test: NodesTest


def asked_parts(text: str, count: int) -> tuple[str, ...]:
    """Return the parts of a composite's value, each still escaped. Raises ValueError with what was wanted."""
    parts = split(text, "$")
    if len(parts) != count or not all(parts):
        raise ValueError(f"{count} values joined by $")
    return tuple(parts)


def relative(expression: str, type_name: str) -> Expression:
    """Return the compiled expression of a component, relative to an element of the type."""
    return compile(_CAPITAL.sub(lambda m: f"as({m[1][0].lower()}{m[1][1:]})", expression), type_name)


def composite_test(one: Filter, setting: Setting, parameters: Parameters, tests: Tests) -> NodesTest:
    """Return the test of a composite filter; `tests` are those of the other types. Raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    components = parameters.components(one.parameter)
    if not components:
        raise InvalidRequest(f"{one.parameter.code} has a part that is not known here.", location=one.location)
    corrected = _CORRECTED.get((one.parameter.resource_type, one.parameter.code))
    if corrected:
        components = tuple(replace(c, expression=e) for c, e in zip(components, corrected, strict=True))
    rows = [_parts(one, value, components, setting, tests) for value in one.values]
    paths: dict[tuple[str, str], Expression] = {}

    def path(expression: str, type_name: str) -> Expression:
        known = paths.get((expression, type_name))
        if known is None:
            known = paths[(expression, type_name)] = relative(expression, type_name)
        return known

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(
            all(p.test(path(p.expression, node.type).evaluate(node, resource=resource), resource) for p in row)
            for node in nodes
            for row in rows
        )

    return test


def _parts(
    one: Filter, value: str, components: Sequence[Component], setting: Setting, tests: Tests
) -> tuple[_Part, ...]:
    texts = asked(one, lambda text: asked_parts(text, len(components)), value)
    try:
        return tuple(
            _Part(c.expression, tests[c.parameter.type](Filter(c.parameter, "", (text,)), setting))
            for c, text in zip(components, texts, strict=True)
        )
    except InvalidRequest as refused:  # it names the part; the request has the whole
        issues = [
            Issue(i.code, f"{one.parameter.code}: {i.diagnostics}", location=one.location) for i in refused.issues
        ]
        raise InvalidRequest(issues=issues) from None
