"""The syntax tree of an expression. https://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.fhir.fhirpath.nodes import Node


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `node` is None for the empty collection `{}`."""

    node: Node | None


@dataclass(frozen=True, slots=True)
class Identifier:
    """An element or type name."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable: `%name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Special:
    """`$this`, `$index` or `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, unevaluated."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Invocation:
    """`target.member`."""

    target: Expression
    member: Identifier | Call


@dataclass(frozen=True, slots=True)
class Index:
    """`target[index]`."""

    target: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Polarity:
    """`-operand` or `+operand`."""

    sign: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands. For `is` and `as` see TypeOperation; for `|` see Union."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Union:
    """`a | b | c`, flat, because search parameters chain dozens of them."""

    branches: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class TypeOperation:
    """`operand is Type` or `operand as Type`; the name may be qualified (`FHIR.Patient`)."""

    operator: str
    operand: Expression
    type_name: str


Expression = (
    Literal | Identifier | Variable | Special | Call | Invocation | Index | Polarity | Binary | Union | TypeOperation
)
