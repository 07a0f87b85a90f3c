"""Tokens to a syntax tree, by precedence climbing. https://hl7.org/fhirpath/N1/#operator-precedence"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from fhir_server.fhir.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    Identifier,
    Index,
    Invocation,
    Literal,
    Polarity,
    Special,
    TypeOperation,
    Union,
    Variable,
)
from fhir_server.fhir.fhirpath.errors import FhirPathSyntaxError
from fhir_server.fhir.fhirpath.lexer import Token, tokenize
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    Node,
    Quantity,
)
from fhir_server.fhir.fhirpath.temporal import is_temporal
from fhir_server.fhir.fhirpath.units import CALENDAR

MAX_DEPTH = 64  # each level costs the parser and the compiler a few Python frames
MAX_INTEGER = 2**31 - 1

_LEVELS = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<", ">", "<=", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_PRECEDENCE = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_TEMPORAL = {"date": DATE, "datetime": DATETIME, "time": TIME}


def parse(expression: str) -> Expression:
    """Return the syntax tree of an expression.

    Raises FhirPathSyntaxError with the position of what could not be read, trailing text included.
    """
    parser = _Parser(tokenize(expression))
    tree = parser.expression(0)
    if parser.token.kind != "end":
        raise parser.unexpected()
    return tree


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self.token = tokens[0]

    def expression(self, level: int) -> Expression:
        self._deeper()
        tree = self._binary(self._unary(), level)
        self._depth -= 1
        return tree

    def _binary(self, left: Expression, level: int) -> Expression:
        """Take operators of at least this level as long as they come."""
        while True:
            operator = self.token.text if self.token.kind in ("word", "symbol") else ""
            own = _PRECEDENCE.get(operator, -1)
            if own < level:
                return left
            self._advance()
            if operator in ("is", "as"):
                left = TypeOperation(operator, left, self._type_name())
                continue
            right = self.expression(own + 1)
            if operator == "|":
                left = Union((*left.branches, right)) if isinstance(left, Union) else Union((left, right))
            else:
                left = Binary(operator, left, right)

    def _unary(self) -> Expression:
        if self.token.kind == "symbol" and self.token.text in "+-":
            sign = self._advance().text
            self._deeper()
            operand = self._unary()
            self._depth -= 1
            return Polarity(sign, operand)
        return self._postfix(self._term())

    def _postfix(self, tree: Expression) -> Expression:
        while self.token.kind == "symbol":
            if self.token.text == ".":
                self._advance()
                tree = Invocation(tree, self._member())
            elif self.token.text == "[":
                self._advance()
                tree = Index(tree, self.expression(0))
                self._expect("]")
            else:
                break
        return tree

    def _term(self) -> Expression:
        token = self.token
        readers: dict[str, Callable[[], Expression]] = {
            "word": self._word,
            "delimited": self._member,
            "string": lambda: Literal(Node(self._advance().text, STRING)),
            "number": self._number,
            "variable": lambda: Variable(self._advance().text),
            "special": lambda: Special(self._advance().text),
        }
        if token.kind in readers:
            return readers[token.kind]()
        if token.kind in _TEMPORAL:
            return self._temporal()
        if token.text == "(":
            self._advance()
            tree = self.expression(0)
            self._expect(")")
            return tree
        if token.text == "{":
            self._advance()
            self._expect("}")
            return Literal(None)
        raise self.unexpected()

    def _word(self) -> Expression:
        if self.token.text in ("true", "false"):
            return Literal(Node(self._advance().text == "true", BOOLEAN))
        return self._member()

    def _member(self) -> Identifier | Call:
        if self.token.kind not in ("word", "delimited"):
            raise self.unexpected()
        name = self._advance().text
        if not self._at("("):
            return Identifier(name)
        self._advance()
        arguments = []
        if not self._at(")"):
            arguments.append(self.expression(0))
            while self._at(","):
                self._advance()
                arguments.append(self.expression(0))
        self._expect(")")
        return Call(name, tuple(arguments))

    def _number(self) -> Expression:
        token = self._advance()
        unit = None
        if self.token.kind == "string" or (self.token.kind == "word" and self.token.text in CALENDAR):
            unit = self._advance().text
        if unit is not None:
            return Literal(Node(Quantity(Decimal(token.text), unit), QUANTITY))
        if "." in token.text:
            return Literal(Node(Decimal(token.text), DECIMAL))
        follows_minus = self._next > 1 and self._tokens[self._next - 2].text == "-"
        if len(token.text) > 10 or int(token.text) > MAX_INTEGER + follows_minus:
            raise FhirPathSyntaxError("an integer does not fit in 32 bits", token.position)
        return Literal(Node(int(token.text), INTEGER))

    def _temporal(self) -> Expression:
        token = self._advance()
        kind = _TEMPORAL[token.kind]
        if not is_temporal(token.text, kind):
            raise FhirPathSyntaxError("no such date or time", token.position)
        return Literal(Node(token.text.removesuffix("T"), kind))

    def _type_name(self) -> str:
        names = []
        while self.token.kind in ("word", "delimited"):
            names.append(self._advance().text)
            if not self._at("."):
                return ".".join(names)
            self._advance()
        raise self.unexpected()

    def _at(self, symbol: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == symbol

    def _advance(self) -> Token:
        token = self.token
        self._next += 1
        self.token = self._tokens[min(self._next, len(self._tokens) - 1)]
        return token

    def _expect(self, symbol: str) -> None:
        if not self._at(symbol):
            raise FhirPathSyntaxError(f"expected {symbol!r}", self.token.position)
        self._advance()

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FhirPathSyntaxError(f"nested deeper than {MAX_DEPTH} levels", self.token.position)

    def unexpected(self) -> FhirPathSyntaxError:
        if self.token.kind == "end":
            return FhirPathSyntaxError("the expression ends too early", self.token.position)
        return FhirPathSyntaxError(f"unexpected {self.token.text!r}", self.token.position)
