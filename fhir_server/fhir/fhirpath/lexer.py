"""Text to tokens. https://hl7.org/fhirpath/N1/#lexical-elements"""

from __future__ import annotations

import re
from typing import NamedTuple

from fhir_server.fhir.fhirpath.errors import FhirPathSyntaxError

MAX_LENGTH = 32_768

_TOKEN = re.compile(
    r"""
      (?P<space>\s+ | //[^\n]* | /\*.*?\*/)
    | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    | (?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
    | (?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<delimited>`(?:[^`\\]|\\.)*`)
    | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'))
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol><=|>=|!=|!~|[-+*/&|.,()\[\]{}=~<>])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


class Token(NamedTuple):
    """A piece of the expression. `text` of strings, delimited names and variables is unescaped and bare."""

    kind: str
    text: str
    position: int


def tokenize(expression: str) -> list[Token]:
    """Return the tokens of an expression, the last one of kind `end`.

    Raises FhirPathSyntaxError where no token begins, and for an expression longer than MAX_LENGTH.
    """
    if len(expression) > MAX_LENGTH:
        raise FhirPathSyntaxError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = []
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None or (expression.startswith("/*", position) and match.lastgroup != "space"):
            raise FhirPathSyntaxError(_complaint(expression, position), position)
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, _bare(kind, match.group()), position))
        position = match.end()
    tokens.append(Token("end", "", position))
    return tokens


def _bare(kind: str, text: str) -> str:
    if kind in ("string", "delimited"):
        return unescape(text[1:-1])
    if kind == "variable":
        return unescape(text[2:-1]) if text[1] in "`'" else text[1:]
    if kind in ("date", "datetime", "time"):
        return text.removeprefix("@").removeprefix("T")
    return text


def unescape(text: str) -> str:
    """Return the text with FHIRPath's escapes resolved; a backslash before any other character is dropped."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)


def _complaint(expression: str, position: int) -> str:
    for opening, what in (("/*", "a comment"), ("'", "a string"), ("`", "a delimited name")):
        if expression.startswith(opening, position):
            return f"{what} is not closed"
    return f"unexpected {expression[position]!r}"
