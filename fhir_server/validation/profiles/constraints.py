"""The constraints a profile adds, in FHIRPath, compiled when first asked.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. One that is empty, or cannot be evaluated, refuses nothing.
"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import Constraint, r4
from fhir_server.validation.findings import Finding, Findings, Shortcut
from fhir_server.validation.presence import shortcut, unknown
from fhir_server.validation.profiles.lengths import enough
from fhir_server.validation.profiles.rules import Advice, Rule
from fhir_server.validation.profiles.run import Run

Json = dict[str, Any]

_word = re.compile(r"[A-Za-z]+")

# Values of the wrong kind, which another finding is about, can make a function fail in its own way.
_FAILURES = (fhirpath.FhirPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def constraint_rules(definition: Json, known: frozenset[str], kind: str, by: str) -> list[Rule]:
    """Return the rules of an element's constraints for values of one type, without those of the `known` keys."""
    rules: list[Rule] = []
    for row in definition.get("constraint", ()):
        key, expression, severity = row.get("key"), row.get("expression"), row.get("severity")
        if type(key) is str and type(expression) is str and key not in known and severity in ("error", "warning"):
            rules.append(_constraint(Constraint(key, severity, expression), str(row.get("human", "")), kind, by))
    return rules


def keys(definition: Json) -> frozenset[str]:
    """Return the keys of an element's constraints."""
    return frozenset(str(row.get("key")) for row in definition.get("constraint", ()))


def _constraint(row: Constraint, human: str, kind: str, by: str) -> Rule:
    is_complex = kind in r4().types and r4().types[kind].kind != "primitive"
    about = f"{row.expression}{' (' + human.rstrip('.') + ')' if human and len(human) <= 200 else ''}"
    broken = f"The constraint {row.key} is broken: {about}{by}"
    compiled: list[fhirpath.Expression] = []
    holds: Shortcut = unknown
    long_enough: int | None = None

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        nonlocal holds, long_enough
        if long_enough is not None and type(value) is str and len(value) >= long_enough:
            return None
        try:
            if not compiled:
                compiled.append(fhirpath.compile(row.expression, kind if is_complex else None))
                holds = shortcut(row.expression, kind) if is_complex else unknown
                long_enough = None if is_complex else enough(row.expression, kind)
            quick = holds(value) if is_complex and type(value) is dict else None
            if quick is None:
                quick = _asked(compiled[0], fhirpath.Node(value, kind, beside), run)
        except _FAILURES as error:
            why = str(error) if isinstance(error, fhirpath.FhirPathError) else "a value is malformed"
            return _not_evaluated(row, why, by) if run.advice else None
        if quick is not False:
            return None
        if wrong := _json_name(row.expression, kind):
            return _not_evaluated(row, wrong, by) if run.advice else None
        return [Finding("invariant", broken, severity=row.severity)]

    return check if row.severity == "error" else Advice(check)


def _asked(expression: fhirpath.Expression, node: fhirpath.Node, run: Run) -> bool | None:
    return expression.boolean(node, resource=run.resource, root=run.root, environment=run.environment)


def _json_name(expression: str, kind: str) -> str:
    """Return what is wrong with an expression that names a choice as JSON does: to FHIRPath there is no valueString."""
    elements = r4().types[kind].elements if kind in r4().types else ()
    known = {name: element.name for element in elements if element.choice for name in element.json_names()}
    name = next((word for word in _word.findall(expression) if word in known), None)
    return "" if name is None else f"FHIRPath calls {name} {known[name]}"


def _not_evaluated(row: Constraint, why: str, by: str) -> Findings:
    text = f"The constraint {row.key} could not be evaluated: {row.expression} ({why}){by}"
    return [Finding("informational", text, severity="information")]
