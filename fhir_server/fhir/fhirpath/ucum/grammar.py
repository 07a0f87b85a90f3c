"""The grammar of UCUM: a code becomes a term of components. https://ucum.org/ucum#section-Syntax-Rules

    main      := '/' term | term
    term      := component (('.' | '/') component)*         read from left to right
    component := (unit [exponent] | factor | '(' main ')') [annotation] | annotation

Codes come from strangers: they are cut off at MAX_LENGTH, brackets go MAX_DEPTH deep, and one pass reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fhir_server.fhir.fhirpath.ucum.errors import UcumError

MAX_LENGTH = 512
MAX_DEPTH = 16
MAX_EXPONENT = 99
_MAX_DIGITS = 32

_TOKEN = re.compile(r"[./()]|\{[ -z|~]*\}|(?:\[[^\]{}]*\]|[^./(){}\[\]])+")
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Number:
    """A factor, or (as 1) an annotation that stands on its own or behind another component."""

    value: int


@dataclass(frozen=True, slots=True)
class Power:
    """A unit, prefix included, and its exponent."""

    symbol: str
    exponent: int
    position: int


@dataclass(frozen=True, slots=True)
class Term:
    """Components and what each of them is: a factor (1) or a divisor (-1)."""

    components: tuple[tuple[int, Component], ...]


Component = Number | Power | Term


def parse(code: str) -> Term:
    """Return the term that a code is. Raises UcumError; which units there are is not asked here."""
    if len(code) > MAX_LENGTH:
        raise UcumError(f"A unit has at most {MAX_LENGTH} characters.", MAX_LENGTH)
    return _Parser(_tokens(code), len(code)).main(0)


def _tokens(code: str) -> list[tuple[str, int]]:
    if not code:
        raise UcumError("A unit is not empty; without a unit it is 1.", 0)
    found: list[tuple[str, int]] = []
    position = 0
    while position < len(code):
        match = _TOKEN.match(code, position)
        if match is None:
            raise UcumError(_not_a_token(code, position), position)
        found.append((match.group(), position))
        position = match.end()
    return found


def _not_a_token(code: str, position: int) -> str:
    if code[position] != "{":
        return "A bracket is open or closed that has no other." if code[position] in "[]" else "A brace closes nothing."
    if "}" not in code[position:]:
        return "The annotation has no closing brace."
    return "An annotation has ASCII characters without braces only."


class _Parser:
    def __init__(self, tokens: list[tuple[str, int]], end: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = end

    def main(self, depth: int) -> Term:
        """Read up to the end, or to the bracket that closes this depth."""
        if depth > MAX_DEPTH:
            raise UcumError(f"Brackets go at most {MAX_DEPTH} deep.", self._position())
        components: list[tuple[int, Component]] = []
        sign = -1 if self._take("/") else 1
        while True:
            components.append((sign, self._component(depth)))
            if self._peek()[:1] == "{":
                self._next += 1
                components.append((1, Number(1)))
            if self._take("."):
                sign = 1
            elif self._take("/"):
                sign = -1
            else:
                self._close(depth)
                return Term(tuple(components))

    def _component(self, depth: int) -> Component:
        position = self._position()
        token = self._peek()
        self._next += 1
        if token == "(":
            return self.main(depth + 1)
        if not token or token in "./)":
            raise UcumError("A unit, a number or an annotation is missing here.", position)
        if token[0] == "{":
            if self._peek()[:1] not in ("", ".", "/", ")"):
                raise UcumError("Only '.' or '/' can follow an annotation.", self._position())
            return Number(1)
        return _simple(token, position)

    def _close(self, depth: int) -> None:
        position = self._position()
        token = self._peek()
        self._next += 1
        if token == ")":
            if not depth:
                raise UcumError("A bracket is closed that was not opened.", position)
        elif token:
            raise UcumError("Units are put together with '.' or '/'.", position)
        elif depth:
            raise UcumError("A bracket is not closed.", position)

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _position(self) -> int:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else self._end

    def _take(self, token: str) -> bool:
        is_there = self._peek() == token
        self._next += is_there
        return is_there


def _simple(token: str, position: int) -> Component:
    head = token.rstrip(_DIGITS)
    digits = token[len(head) :]
    if len(digits) > _MAX_DIGITS:
        raise UcumError("The number is too long.", position)
    if not head:
        if int(digits) == 0:
            raise UcumError("A factor is not 0.", position)
        return Number(int(digits))
    sign = head[-1] if digits and head[-1] in "+-" else ""
    exponent = int(sign + digits) if digits else 1
    if abs(exponent) > MAX_EXPONENT:
        raise UcumError(f"An exponent is at most {MAX_EXPONENT}.", position)
    return Power(head.removesuffix(sign) if sign else head, exponent, position)
