"""Conditions that tell slices apart, and those among them that a look at the JSON answers.

https://hl7.org/fhir/R4/profiling.html#discriminator. A condition says yes, no, or None: it cannot be told, because a
reference leads away or terminology does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.elements import is_primitive, rows
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.steps import Steps, Unresolved, walk
from fhir_server.validation.profiles.values import Test

Condition = Callable[[Node, Run], bool | None]


class Plain:
    """A condition that needs nothing but the value: what a profile fixes, in it or below it.

    `test_of` makes of a type the test of its JSON values, None where the way leads over choices or resources, which
    are named by what is there.
    """

    __slots__ = ("_condition", "test_of")

    def __init__(self, condition: Condition, test_of: Callable[[str], Test | None]) -> None:
        self._condition = condition
        self.test_of = test_of

    def __call__(self, node: Node, run: Run) -> bool | None:
        return self._condition(node, run)


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether one of the answers is yes; None where none is, but one cannot be told."""
    verdict: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            verdict = None
    return verdict


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether all answers are yes; None where none is no, but one cannot be told."""
    verdict: bool | None = True
    for answer in answers:
        if answer is False:
            return False
        if answer is None:
            verdict = None
    return verdict


def valued(tests: Sequence[Test]) -> Plain:
    """Return whether a value passes one of the tests."""
    test = tests[0] if len(tests) == 1 else lambda value: any(one(value) for one in tests)
    return Plain(lambda node, run: test(node.value), lambda kind: test)


def typed(fits: Callable[[str], bool]) -> Plain:
    """Return whether the type of a value is one that fits."""

    def test_of(kind: str) -> Test:
        answer = fits(kind)
        return lambda value: answer

    return Plain(lambda node, run: fits(node.type), test_of)


def together(found: Sequence[Condition]) -> Condition | None:
    """Return whether all conditions say yes; None where there are none."""
    if len(found) < 2:
        return found[0] if found else None
    plain = [one for one in found if isinstance(one, Plain)]

    def condition(node: Node, run: Run) -> bool | None:
        return all_of(one(node, run) for one in found)

    def test_of(kind: str) -> Test | None:
        tests = [test for one in plain if (test := one.test_of(kind)) is not None]
        return _all(tests) if len(tests) == len(found) else None

    return Plain(condition, test_of) if len(plain) == len(found) else condition


def _all(tests: Sequence[Test]) -> Test:
    first, rest = tests[0], tests[1:]
    if not rest:
        return first
    others = _all(rest)
    return lambda value: first(value) and others(value)


def reached(steps: Steps, end: Condition | None) -> Condition | None:
    """Return whether a path leads to something of which the condition at its end says yes."""
    if end is None or not steps:
        return end

    def condition(node: Node, run: Run) -> bool | None:
        try:
            return any_of(end(one, run) for one in walk(node, steps, run))
        except Unresolved:
            return None

    return Plain(condition, lambda kind: _along(kind, steps, end)) if isinstance(end, Plain) else condition


def _along(kind: str, steps: Steps, end: Plain) -> Test | None:
    """Return the test of values of a type at the end of a path of elements that JSON calls by their names."""
    if not steps:
        return end.test_of(kind)
    name = steps[0].text
    pairs = rows(kind).get(name, ())
    if steps[0].kind != "name" or is_primitive(kind) or len(pairs) != 1 or pairs[0][1] not in r4().types:
        return None
    rest = None if pairs[0][1] in ("Resource", "DomainResource") else _along(pairs[0][1], steps[1:], end)
    if rest is None:
        return None

    def test(value: Any) -> bool:
        item = value.get(name) if type(value) is dict else None
        if type(item) is list:
            return any(map(rest, item))
        return item is not None and rest(item)

    return test
