"""The language of `_filter`: text becomes a tree of tests, and a test becomes a filter where one says the same.

https://hl7.org/fhir/R4/search_filter.html

    filter  = operand (("and" / "or") operand)*          left to right, neither binds closer
    operand = "(" filter ")" / "not" "(" filter ")" / path operator value
    path    = name ["[" filter "]"] ["." path]
    value   = a JSON string / a token: anything without white space, ")" and "]"

A name is the code of a search parameter; as in other searches, `subject:Patient.name` says which type is meant.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.outcomes import Issue
from fhir_server.search.parameters import Parameter
from fhir_server.search.query import Filter

LOCATION = "http._filter"
MAX_LENGTH = 8_000
MAX_DEPTH = 16
MAX_TESTS = 200

_PREFIXED = frozenset({"date", "number", "quantity"})
_TEXTUAL = frozenset({"string", "token", "uri"})
_PLAIN = _PREFIXED | _TEXTUAL | {"reference"}
# Which types of parameter an operator can be asked of; `pr` goes with all.
OPERATORS: dict[str, frozenset[str]] = {
    "eq": _PLAIN | {"composite", "special"},
    "ne": _PLAIN,
    "co": _TEXTUAL | {"date"},
    "sw": _TEXTUAL,
    "ew": _TEXTUAL,
    **dict.fromkeys(("gt", "lt", "ge", "le"), _PREFIXED | {"string"}),
    **dict.fromkeys(("ap", "sa", "eb"), _PREFIXED),
    "pr": _PLAIN | {"composite", "special"},
    "po": frozenset({"date"}),
    "ss": frozenset({"token"}),
    "sb": frozenset({"token"}),
    "in": frozenset({"token"}),
    "ni": frozenset({"token"}),
    "re": frozenset({"reference"}),
}
# `ss`: the value subsumes a concept that is there, which lies below it; `sb` the other way round.
_MODIFIERS = {"in": "in", "ni": "not-in", "ss": "below", "sb": "above", "re": ""}
_WORDS = frozenset({"_text", "_content"})
# Code systems that have a short name here: `loinc|1234-5`.
SYSTEMS = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}

# Where a system can stand, before a code and after a number: at the beginning, after a dollar or between bars.
_SHORT = re.compile(rf"(?<![^$|])(?:{'|'.join(SYSTEMS)})(?=\|)")
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_QUALIFIED = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*(?::[A-Za-z_][A-Za-z0-9_\-]*)*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r'[^\s)\]"][^\s)\]]*')


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path: `qualifier` is what follows its colon, `where` the filter in its brackets."""

    code: str
    qualifier: str = ""
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison; `position` is where in the text it begins, from 0."""

    path: tuple[Step, ...]
    operator: str
    value: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class And:
    """All of them hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    part: Expression


Expression = And | Or | Not | Test


def parse_filter(text: str) -> Expression:
    """Return the tree of a `_filter`. Raises InvalidRequest that says where it is wrong, or too long or too deep."""
    if len(text) > MAX_LENGTH:
        raise _refused(f"_filter takes {MAX_LENGTH} characters at most.")
    return _Reader(text).whole()


def as_filter(test: Test, parameter: Parameter) -> Filter | None:
    """Return the filter that says the same as a test of the parameter its path ends with, or None if none does.

    Raises InvalidRequest where the operator cannot be asked of the parameter.
    """
    _check(test, parameter)
    operator, kind = test.operator, parameter.type
    text = _value_text(test, parameter)
    if operator == "pr":
        return Filter(parameter, "missing", ("false" if test.value == "true" else "true",))
    if parameter.code in _WORDS:
        return Filter(parameter, "", (text,))
    if kind in _PREFIXED and operator not in ("po", "co"):
        return Filter(parameter, "", (operator + text,))
    if operator in _MODIFIERS:
        return Filter(parameter, _MODIFIERS[operator], (text,))
    if kind == "string" and operator in ("co", "sw"):
        return Filter(parameter, "contains" if operator == "co" else "", (text,))
    if operator == "eq" and kind != "string":
        return Filter(parameter, "", (text,))
    return None


def wider_filter(test: Test, parameter: Parameter) -> Filter:
    """Return a filter that finds at least what the test does: the same one where there is one."""
    same = as_filter(test, parameter)
    if same is not None:
        return same
    text = _value_text(test, parameter)
    if test.operator in ("po", "co") and parameter.type == "date":
        return Filter(parameter, "", ("ap" + text,))
    if test.operator == "eq":
        return Filter(parameter, "", (text,))
    return Filter(parameter, "missing", ("false",))


def located(refused: InvalidRequest, test: Test) -> InvalidRequest:
    """Return a refusal of a test's value or operator that says where in the `_filter` the test is."""
    issues = [Issue(i.code, f"{_at(test.position)}: {i.diagnostics}", location=LOCATION) for i in refused.issues]
    return InvalidRequest(issues=issues)


def _check(test: Test, parameter: Parameter) -> None:
    kinds = OPERATORS[test.operator]
    allowed = test.operator in ("eq", "co", "pr") if parameter.code in _WORDS else parameter.type in kinds
    if not allowed or (parameter.code in _WORDS and test.operator == "pr"):
        text = (
            f"{_at(test.position)}: {test.operator} cannot be asked of {parameter.code}, which is a {parameter.type}."
        )
        raise InvalidRequest(issues=[Issue("not-supported", text, location=LOCATION)])


def _value_text(test: Test, parameter: Parameter) -> str:
    """Return the value as a filter has it: where bars and dollars separate parts, escapes are the client's own."""
    if parameter.type in ("token", "quantity", "composite"):
        return _SHORT.sub(lambda name: SYSTEMS[name[0]], test.value)
    if parameter.type == "special":
        return test.value
    return re.sub(r"([\\,$|])", r"\\\1", test.value)


def _at(position: int) -> str:
    return f"_filter, character {position + 1}"


def _refused(text: str) -> InvalidRequest:
    return InvalidRequest(text, location=LOCATION)


class _Reader:
    """The state of reading one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0
        self._tests = 0

    def whole(self) -> Expression:
        found = self._filter()
        self._space()
        if self._position < len(self._text):
            raise self._expected("and, or or the end")
        return found

    def _filter(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refused(f"{_at(self._position)}: nested more than {MAX_DEPTH} deep.")
        found = self._operand()
        while word := self._word("and", "or"):
            found = _joined(And if word == "and" else Or, found, self._operand())
        self._depth -= 1
        return found

    def _operand(self) -> Expression:
        if self._take("("):
            return self._closed(")")
        start = self._position
        if self._word("not"):
            if self._take("("):
                return Not(self._closed(")"))
            self._position = start
        return self._test()

    def _closed(self, end: str) -> Expression:
        found = self._filter()
        if not self._take(end):
            raise self._expected(f"and, or or {end}")
        return found

    def _test(self) -> Test:
        self._space()
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise _refused(f"_filter takes {MAX_TESTS} tests at most.")
        start = self._position
        path = [self._step()]
        while self._text[self._position : self._position + 1] == ".":
            self._position += 1
            path.append(self._step())
        operator = self._read(_NAME, "an operator")
        if operator not in OPERATORS:
            self._position -= len(operator)
            raise self._expected(f"one of {', '.join(OPERATORS)}")
        value = self._value()
        if operator == "pr" and value not in ("true", "false"):
            raise _refused(f"{_at(start)}: pr takes true or false.")
        return Test(tuple(path), operator, value, start)

    def _step(self) -> Step:
        name = self._read(_QUALIFIED, "the name of a search parameter")
        code, _, qualifier = name.partition(":")
        where = None
        if self._text[self._position : self._position + 1] == "[":
            self._position += 1
            where = self._closed("]")
        return Step(code, qualifier, where)

    def _value(self) -> str:
        self._space()
        if self._text[self._position : self._position + 1] != '"':
            return self._read(_TOKEN, "a value")
        start = self._position
        text = self._read(_STRING, 'a string with a " at its end')
        try:
            value: str = json.loads(text, strict=False)
        except ValueError:
            raise _refused(f"{_at(start)}: the string is not a JSON string.") from None
        if not value.strip():
            raise _refused(f"{_at(start)}: the string is empty.")
        return value

    def _space(self) -> None:
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position

    def _take(self, character: str) -> bool:
        self._space()
        if self._text[self._position : self._position + 1] != character:
            return False
        self._position += 1
        return True

    def _word(self, *words: str) -> str:
        self._space()
        match = _NAME.match(self._text, self._position)
        if match is None or match[0] not in words:
            return ""
        self._position = match.end()
        return match[0]

    def _read(self, pattern: re.Pattern[str], wanted: str) -> str:
        self._space()
        match = pattern.match(self._text, self._position)
        if match is None:
            raise self._expected(wanted)
        self._position = match.end()
        return match[0]

    def _expected(self, wanted: str) -> InvalidRequest:
        return _refused(f"{_at(self._position)}: expected {wanted}.")


def _joined(kind: type[And] | type[Or], left: Expression, right: Expression) -> Expression:
    """Return both under one connective; a run of the same one is a single row."""
    return kind((*left.parts, right)) if isinstance(left, kind) else kind((left, right))
