"""The invariants of the base definitions. https://hl7.org/fhir/R4/conformance-rules.html#constraints

Most are decided by a shortcut; FHIRPath is asked about the rest, and compiled when it is first asked. An invariant is
broken when it is false: one that is empty, or cannot be evaluated, never refuses a resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import Constraint, Definitions, Element
from fhir_server.validation import wholes
from fhir_server.validation.findings import (
    Checker,
    Finding,
    Findings,
    Held,
    Json,
    JsonValue,
    Rule,
    Shortcut,
    below,
    is_full,
)
from fhir_server.validation.presence import shortcut, unknown
from fhir_server.validation.shortcuts import BY_KEY

# What the checkers of objects, extensions, references, contained resources and narratives look at themselves.
ELSEWHERE = frozenset({"ele-1", "ext-1", "ref-1", "dom-2", "dom-3", "dom-4", "dom-5", "txt-1", "txt-2"})

MAX_STEPS = 200_000

_ENVIRONMENT = fhirpath.Environment(max_steps=MAX_STEPS, safe_patterns=True)
# Values of the wrong kind, which another finding is about, can make a function fail in its own way.
_FAILURES = (fhirpath.FhirPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Invariants:
    """Gives the rules of types and elements. Warnings are rules only for who takes advice."""

    def __init__(self, definitions: Definitions, *, advice: bool) -> None:
        self._definitions = definitions
        self._advice = advice

    def of_type(self, name: str) -> list[Rule]:
        """Return what every object of the type has to keep: what it says, its bases say and its place says."""
        types = self._definitions.types
        found = [row for base in self._definitions.ancestors(name) for row in types[base].constraints]
        parent, _, last = name.rpartition(".")
        element = types[parent].element(last) if parent in types else None
        if element is not None:
            found += [row for row in element.constraints if row.key not in wholes.BY_KEY]
        rules = [self._rule(row, name) for row in self._chosen(found)]
        if types[name].kind == "resource":
            rules += [_rule_below(row, at) for at, row in self._that_need(name)]
        return rules

    def of_element(self, parent: str, element: Element, own: str) -> list[Rule]:
        """Return what values of a type have to keep in one place; backbone elements have it with their type."""
        if own == f"{parent}.{element.name}":
            return []
        return [self._rule(row, own) for row in self._chosen(element.constraints)]

    def of_resource(self) -> list[Rule]:
        """Return what a resource has to keep that stands on its own, but no contained one: a narrative, as advice."""
        rows = self._definitions.types["DomainResource"].constraints if self._advice else ()
        return [(_has_narrative, _broken(row)) for row in rows if row.key == "dom-6"]

    def _chosen(self, rows: list[Constraint] | tuple[Constraint, ...]) -> Iterator[Constraint]:
        for row in rows:
            if row.key not in ELSEWHERE and row.key != "dom-6" and (self._advice or row.severity == "error"):
                yield row

    def _that_need(self, name: str) -> Iterator[tuple[str, Constraint]]:
        """Yield the invariants of the resource's elements that look at the whole resource."""
        for element in self._definitions.types[name].elements:
            for row in self._chosen(element.constraints):
                if row.key in wholes.BY_KEY:
                    yield element.name, row

    def _rule(self, row: Constraint, own: str) -> Rule:
        is_primitive = own[:1].islower()
        holds = unknown if is_primitive else _shortcut(row.expression, own)
        by_hand = BY_KEY.get((own, row.key))
        if by_hand is not None:
            holds = by_hand if holds is unknown else _first(holds, by_hand)
        return holds, _Evaluation(row, own, holds, self._advice)


def _rule_below(row: Constraint, name: str) -> Rule:
    """Return the rule of a resource that looks at the elements of this name."""
    broken_at, findings = wholes.BY_KEY[row.key], _broken(row)

    def explain(resource: JsonValue) -> Findings | None:
        found: Findings | None = None
        for place in broken_at(resource):
            found = below(f".{name}" if place is None else f".{name}[{place}]", findings(resource), found)
            if is_full(found):
                break
        return found

    return (lambda resource: name not in resource), explain


class _Evaluation:
    """Asks FHIRPath whether an invariant holds, and says what is wrong if not."""

    __slots__ = ("_advice", "_expression", "_holds", "_is_primitive", "_own", "_row")

    def __init__(self, row: Constraint, own: str, holds: Shortcut, advice: bool) -> None:
        self._row = row
        self._own = own
        self._holds = holds
        self._advice = advice
        self._is_primitive = own[:1].islower()
        self._expression: fhirpath.Expression | None = None

    def __call__(self, item: JsonValue) -> Findings | None:
        if not self._is_primitive and type(item) is not dict:
            return None
        if self._holds(item) is False:
            return _broken(self._row)(item)
        if self._expression is None:
            root_type = None if self._is_primitive else self._own
            self._expression = fhirpath.compile(self._row.expression, root_type)
        try:
            node = fhirpath.Node(item, self._own)
            answer = self._expression.boolean(node, environment=_ENVIRONMENT)
        except _FAILURES:
            return self._not_evaluated()
        return None if answer is not False else _broken(self._row)(item)

    def _not_evaluated(self) -> Findings | None:
        if not self._advice:
            return None
        text = f"The invariant {self._row.key} could not be evaluated: {self._row.expression}"
        return [Finding("informational", text, severity="information")]


def constrained(one: Checker, rules: list[Rule]) -> Checker:
    """Return the checker of a value that has to keep these rules besides."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = one(item, parent, depth, held)
        if found is not None and type(item) is not dict:
            return found
        for holds, explain in rules:
            if not holds(item):
                problems = explain(item)
                if problems is not None:
                    found = below("", problems, found)
        return found

    return check


def _broken(row: Constraint) -> Callable[[JsonValue], Findings]:
    text = f"The invariant {row.key} is broken: {row.expression}"
    return lambda item: [Finding("invariant", text, severity=row.severity)]


def _first(general: Shortcut, by_hand: Shortcut) -> Shortcut:
    """Return the shortcut that asks the second where the first does not know."""
    return lambda item: by_hand(item) if (answer := general(item)) is None else answer


@lru_cache(maxsize=1024)
def _shortcut(expression: str, own: str) -> Shortcut:
    return shortcut(expression, own)


def _has_narrative(resource: Json) -> bool:
    text = resource.get("text")
    return type(text) is dict and "div" in text
