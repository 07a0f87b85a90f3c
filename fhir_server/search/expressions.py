"""What the expression of a tenant's own search parameter may use: it is run for every resource that is written.

Only what reads the resource once, from the top down, and gives the same answer every day. Then the cost grows with the
resource and the expression, whatever both look like. https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.fhir.fhirpath import FhirPathSyntaxError
from fhir_server.fhir.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    Identifier,
    Index,
    Invocation,
    Polarity,
    Special,
    TypeOperation,
    Union,
    Variable,
)
from fhir_server.fhir.fhirpath.parser import parse

FUNCTIONS = frozenset(
    [
        *("all", "allFalse", "allTrue", "anyFalse", "anyTrue", "as", "contains", "count", "distinct", "empty"),
        *("endsWith", "exists", "extension", "first", "getValue", "hasExtension", "hasValue", "iif", "indexOf", "is"),
        *("last", "length", "lower", "not", "ofType", "replace", "resolve", "select", "single", "skip", "startsWith"),
        *("substring", "tail", "take", "toBoolean", "toDate", "toDateTime", "toDecimal", "toInteger", "toString"),
        *("trim", "union", "upper", "where"),
    ]
)


def objection(text: str) -> str:
    """Return what an expression uses that it may not, or ''. Raises FhirPathSyntaxError."""
    return next(_objections(_parts(text)), "")


def is_path(text: str) -> bool:
    """Whether an expression is a path without functions, but for the choice of a type. Raises FhirPathSyntaxError."""
    return all(
        isinstance(part, (Identifier, Invocation, TypeOperation, Union))
        or (isinstance(part, Special) and part.name == "$this")
        or (isinstance(part, Call) and part.name in ("as", "ofType"))
        for part in _parts(text)
    )


def _parts(text: str) -> list[Expression]:
    try:
        return list(_walk(parse(text)))
    except RecursionError:
        raise FhirPathSyntaxError("nested too deeply", 0) from None


def _objections(parts: list[Expression]) -> Iterator[str]:
    compared = [one for one in map(_compared, parts) if one is not None]
    for part in parts:
        if isinstance(part, Variable):
            yield f"%{part.name} is not possible in a search parameter; paths begin at the resource."
        elif isinstance(part, Call) and part.name not in FUNCTIONS:
            yield f"{part.name}() is not possible in a search parameter: it may only read the resource, top down."
        elif isinstance(part, Call) and part.name == "resolve" and not any(part is one for one in compared):
            yield "resolve() is only possible as in where(resolve() is Patient); a chain searches what is referenced."


def _compared(part: Expression) -> Expression | None:
    """Return what has its type compared, the last step of a path."""
    if isinstance(part, TypeOperation) and part.operator == "is":
        tested = part.operand
    elif isinstance(part, Invocation) and isinstance(part.member, Call) and part.member.name == "is":
        tested = part.target
    else:
        return None
    return tested.member if isinstance(tested, Invocation) else tested


def _walk(tree: Expression) -> Iterator[Expression]:
    """Yield every part of an expression but the names of types."""
    yield tree
    parts: tuple[Expression, ...] = ()
    match tree:
        case Invocation(target, member):
            parts = (target, member)
        case Call(name, arguments):
            parts = () if name in ("as", "is", "ofType") else arguments
        case Index(target, index):
            parts = (target, index)
        case Binary(_, left, right):
            parts = (left, right)
        case Polarity(_, operand) | TypeOperation(_, operand, _):
            parts = (operand,)
        case Union(branches):
            parts = branches
    for part in parts:
        yield from _walk(part)
