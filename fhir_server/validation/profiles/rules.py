"""What a profile asks of one value of an element: fixed values, patterns, bounds, lengths.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.validation.findings import Finding, Findings, refuse
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.values import Test, compare, given, having, same_as, shown

Json = dict[str, Any]

# Takes a value, the id and extensions of a primitive (`_birthDate`), and the run. The value is None where a primitive
# has only those. None means that all is well.
Rule = Callable[[Any, Json | None, Run], Findings | None]


class Advice:
    """A rule that never finds an error: walks that look for nothing else need not ask it."""

    __slots__ = ("_rule",)

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def __call__(self, value: Any, beside: Json | None, run: Run) -> Findings | None:
        return self._rule(value, beside, run) if run.advice else None


def value_rules(definition: Json, above: list[Json], kind: str, title: str, by: str) -> list[Rule]:
    """Return the rules of an element's values of one type; those that an element of `above` has are kept already."""
    makers = {"fixed": _fixed, "pattern": _pattern, "minValue": _lowest, "maxValue": _highest}
    found: list[Rule] = []
    for prefix, maker in makers.items():
        rule = given(definition, prefix)
        if rule is not None and rule[1] is not None and rule not in [given(row, prefix) for row in above]:
            found.append(maker(rule[1], kind, title, by))
    longest = definition.get("maxLength")
    if type(longest) is int and longest not in [row.get("maxLength") for row in above]:
        found.append(_length(longest, title, by))
    return found


def _fixed(wanted: Any, kind: str, title: str, by: str) -> Rule:
    return _tested(same_as(wanted), wanted, f"{title} has to be exactly {shown(wanted)}{by}")


def _pattern(wanted: Any, kind: str, title: str, by: str) -> Rule:
    return _tested(having(wanted), wanted, f"{title} has to have all of {shown(wanted)}{by}")


def _tested(test: Test, wanted: Any, text: str) -> Rule:
    if type(wanted) is str:
        return lambda value, beside, run: None if value == wanted or test(value) else refuse("value", text)
    return lambda value, beside, run: None if test(value) else refuse("value", text)


def _lowest(bound: Any, kind: str, title: str, by: str) -> Rule:
    return _bound(bound, kind, -1, f"{title} has to be at least {_amount(bound)}{by}")


def _highest(bound: Any, kind: str, title: str, by: str) -> Rule:
    return _bound(bound, kind, 1, f"{title} has to be at most {_amount(bound)}{by}")


def _bound(bound: Any, kind: str, wrong: int, text: str) -> Rule:
    unknown = text[:-1].rstrip(".") + ", which cannot be told of this value."

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if value is None:
            return None
        side = compare(value, bound, kind)
        if side == wrong:
            return refuse("value", text)
        if side is None and run.advice:
            return [Finding("informational", unknown, severity="information")]
        return None

    return check


def _amount(bound: Any) -> str:
    if type(bound) is dict and "value" in bound:
        return f"{bound['value']} {bound.get('code') or bound.get('unit') or ''}".rstrip()
    return shown(bound)


def _length(longest: int, title: str, by: str) -> Rule:
    text = f"{title} has to be at most {longest} characters long{by}"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        return refuse("too-long", text) if type(value) is str and len(value) > longest else None

    return check
