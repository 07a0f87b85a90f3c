"""Which elements of a list are wanted: by FHIRPath, by the value of a field, by their place.

https://hl7.org/fhir/R4/graphql.html#list
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from time import perf_counter
from typing import Any

from graphql.language import Node as SyntaxNode

from fhir_server.api import Json, TooCostly
from fhir_server.api.fhirpath import (
    Environment,
    Expression,
    FhirPathBudgetExceeded,
    FhirPathError,
    FhirPathSyntaxError,
    Node,
    compile_given,
)
from operations.graphql.limits import KEPT, MAX_FHIRPATH_CHARS, MAX_FHIRPATH_SECONDS, MAX_FHIRPATH_STEPS
from operations.graphql.refusals import refused, refusing
from operations.graphql.schema import ANY, Kind, field_of
from operations.graphql.values import texts

Elements = Sequence[Any]
Filter = Callable[[Elements, Json], Elements]


@dataclass(frozen=True, slots=True)
class Path:
    """An expression of the query, with where it stands for errors in evaluation."""

    expression: Expression
    node: SyntaxNode


class Filters:
    """Makes filters of arguments, for one query."""

    def __init__(self, now: int) -> None:
        moment = datetime.fromtimestamp(now / 1000, UTC)
        self._seconds = MAX_FHIRPATH_SECONDS
        self._environment = Environment(now=lambda: moment, max_steps=MAX_FHIRPATH_STEPS, safe_patterns=True)

    def of_elements(self, given: Mapping[str, Any], type_name: str, node: SyntaxNode) -> Filter | None:
        """Return the filter that the arguments of an element make, or None for none."""
        steps: list[Filter] = []
        offset, count = _whole(given, "_offset", node), _whole(given, "_count", node)
        for name, value in given.items():
            if name == "fhirpath":
                steps.append(self._matching(self._condition(value, node), type_name))
            elif name not in ("_offset", "_count"):
                steps.append(_with_value(name, value, type_name, node))
        if offset is not None or count is not None:
            start = offset or 0
            steps.append(lambda found, _: found[start : None if count is None else start + count])
        return _chain(steps) if steps else None

    def of_resources(self, text: Any, node: SyntaxNode) -> Filter:
        """Return the filter of resources that a search found."""
        return self._matching(self._condition(text, node), ANY)

    def path(self, text: str, node: SyntaxNode) -> Path:
        """Return a compiled expression. Raises Refused with what is wrong with it."""
        return Path(self._compiled(text, node), node)

    def texts(self, path: Path, element: Any, type_name: str, resource: Json) -> list[str]:
        """Return what an expression gives for an element, as texts."""
        found = self._evaluated(path, _node(element, type_name), resource, {})
        return [text for item in found if isinstance(item.value, str | int | Decimal) for text in texts(item.value)]

    def _condition(self, text: Any, node: SyntaxNode) -> Path:
        """Return the expression as the condition of a where, which gives it $index and $this."""
        if not isinstance(text, str):
            raise refused("fhirpath must be text.", node)
        self._compiled(text, node)  # for only an expression that stands by itself may be put into another
        return Path(self._compiled(text, node, "%elements.where({}\n)"), node)

    def _compiled(self, text: str, node: SyntaxNode, form: str = "{}") -> Expression:
        if len(text) > MAX_FHIRPATH_CHARS:
            raise refusing(TooCostly(f"The FHIRPath has more than {MAX_FHIRPATH_CHARS} characters."), node)
        try:
            return _compiled(form.format(text))
        except FhirPathSyntaxError as error:
            raise refused(f"The FHIRPath cannot be read: {error}.", node) from None
        except FhirPathError as error:
            raise refused(f"The FHIRPath is wrong: {error}.", node) from None

    def _matching(self, path: Path, type_name: str) -> Filter:
        def matching(found: Elements, resource: Json) -> Elements:
            if not found:
                return found
            nodes = [_node(element, type_name) for element in found]
            kept = {id(n.value) for n in self._evaluated(path, nodes[0], resource, {"elements": nodes})}
            return [element for element in found if id(element) in kept]

        return matching

    def _evaluated(self, path: Path, focus: Node, resource: Json, variables: Mapping[str, Any]) -> list[Node]:
        began = perf_counter()
        try:
            found = path.expression.evaluate(
                focus, resource=resource, variables=variables, environment=self._environment
            )
        except FhirPathBudgetExceeded:
            raise refusing(TooCostly("The FHIRPath takes too many steps on this list."), path.node) from None
        except FhirPathError as error:
            raise refused(f"The FHIRPath cannot be evaluated: {error}.", path.node) from None
        self._seconds -= perf_counter() - began
        if self._seconds < 0:
            raise refusing(TooCostly("The FHIRPath of the query takes too long on all these lists."), path.node)
        return found


_compiled = lru_cache(maxsize=KEPT)(compile_given)


def _node(element: Any, type_name: str) -> Node:
    """Return an element for FHIRPath; a resource of any type says its type itself."""
    return Node(element, element["resourceType"] if type_name == ANY else type_name)


def _chain(steps: Sequence[Filter]) -> Filter:
    if len(steps) == 1:
        return steps[0]

    def chained(found: Elements, resource: Json) -> Elements:
        for step in steps:
            found = step(found, resource)
        return found

    return chained


def _whole(given: Mapping[str, Any], name: str, node: SyntaxNode) -> int | None:
    value = given.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise refused(f"{name} must be a whole number from 0.", node)
    return value


def _with_value(name: str, wanted: Any, type_name: str, node: SyntaxNode) -> Filter:
    """Keep elements whose field has the value, or one of the values."""
    field = field_of(type_name, name)
    if field is None or field.kind is not Kind.VALUE:
        what = "is no scalar" if field else "is none"
        raise refused(f"{name} cannot be an argument here: as a field of {type_name} it {what}.", node)
    values = set(texts(wanted))
    numbers = _numbers(values) if field.type in ("decimal", "integer", "positiveInt", "unsignedInt") else set()

    def has(element: Any) -> bool:
        own = element.get(name) if isinstance(element, dict) else None
        if own is None:
            return False
        if numbers and isinstance(own, int | Decimal):
            return own in numbers
        return not values.isdisjoint(texts(own))

    return lambda found, _: [element for element in found if has(element)]


def _numbers(values: set[str]) -> set[Decimal]:
    found = set()
    for text in values:
        try:
            found.add(Decimal(text))
        except InvalidOperation:
            continue
    return found
