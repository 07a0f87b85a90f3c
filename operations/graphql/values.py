"""Values in a query: literals, and variables with their types and defaults. https://spec.graphql.org/October2021/#sec-Input-Values"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from graphql.language import (
    ArgumentNode,
    BooleanValueNode,
    ConstArgumentNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListTypeNode,
    ListValueNode,
    NamedTypeNode,
    NonNullTypeNode,
    NullValueNode,
    OperationDefinitionNode,
    StringValueNode,
    TypeNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
)

from fhir_server.api import Json
from fhir_server.api.definitions import r4
from operations.graphql.refusals import refused

# The value of a variable that has none.
ABSENT: Any = object()
_SEARCH_TYPES = frozenset({"number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"})


def variable_values(operation: OperationDefinitionNode, given: Json) -> dict[str, Any]:
    """Return the values of the declared variables: as given, else the default, else ABSENT.

    Raises Refused for a value that is missing or not of the declared type. Values nobody declared are passed over.
    """
    values: dict[str, Any] = {}
    for row in operation.variable_definitions or ():
        name = row.variable.name.value
        if name in given:
            values[name] = _coerced(row, row.type, given[name])
        elif row.default_value is not None:
            values[name] = _coerced(row, row.type, literal(row.default_value, {}))
        elif isinstance(row.type, NonNullTypeNode):
            raise refused(f"The variable ${name} has no value.", row)
        else:
            _scalar(row, row.type)
            values[name] = ABSENT
    return values


def _coerced(row: VariableDefinitionNode, kind: TypeNode, value: Any) -> Any:
    name = row.variable.name.value
    if isinstance(kind, NonNullTypeNode):
        if value is None:
            raise refused(f"The variable ${name} must not be null.", row)
        return _coerced(row, kind.type, value)
    if value is None:
        _scalar(row, kind)
        return None
    if isinstance(kind, ListTypeNode):
        return [_coerced(row, kind.type, v) for v in (value if isinstance(value, list) else [value])]
    fits, what = _scalar(row, kind)
    if not fits(value):
        raise refused(f"The variable ${name} must be {what}.", row)
    return value


def _scalar(row: VariableDefinitionNode, kind: TypeNode) -> tuple[Callable[[Any], bool], str]:
    """Return the check of a scalar type: GraphQL's own, those of FHIR's data, and of its search parameters."""
    while isinstance(kind, NonNullTypeNode | ListTypeNode):
        kind = kind.type
    assert isinstance(kind, NamedTypeNode), "a type is a name, a list or not null"
    name = kind.name.value
    if name in _CHECKS:
        return _CHECKS[name]
    definition = r4().types.get(name)
    if name in _SEARCH_TYPES or (definition is not None and definition.kind == "primitive"):
        return _is_scalar, f"a {name}"
    raise refused(f"There is no type {name[:64]} for variables; use String, Int, Float, Boolean or ID.", row)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | Decimal)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Int": (lambda v: type(v) is int, "an Int"),
    "Float": (lambda v: type(v) in (int, Decimal), "a Float"),
    "String": (lambda v: type(v) is str, "a String"),
    "Boolean": (lambda v: type(v) is bool, "a Boolean"),
    "ID": (lambda v: type(v) in (str, int), "an ID"),
}


def literal(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    """Return the value of a literal: enum values are their names, numbers with a fraction Decimals."""
    match node:
        case VariableNode():
            if node.name.value not in variables:
                raise refused(f"The operation declares no variable ${node.name.value}.", node)
            return variables[node.name.value]
        case IntValueNode():
            return int(node.value) if len(node.value) < 20 else Decimal(node.value)
        case FloatValueNode():
            return Decimal(node.value)
        case StringValueNode() | BooleanValueNode() | EnumValueNode():
            return node.value
        case NullValueNode():
            return None
        case ListValueNode():
            return [v for v in (literal(n, variables) for n in node.values) if v is not ABSENT]
    raise refused("An object is no value that any argument takes.", node)


def arguments(nodes: Iterable[ArgumentNode | ConstArgumentNode], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by name; one whose variable has no value, or which is null, is as if it were not there."""
    values: dict[str, Any] = {}
    for node in nodes:
        if node.name.value in values:
            raise refused(f"The argument {node.name.value} is given twice.", node)
        value = literal(node.value, variables)
        values[node.name.value] = None if value is ABSENT else value
    return {name: value for name, value in values.items() if value is not None}


def texts(value: Any) -> list[str]:
    """Return a scalar, or a list of them, as FHIR writes them."""
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)]
