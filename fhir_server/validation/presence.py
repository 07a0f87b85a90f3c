"""Most invariants ask which members are there; that much is answered from the JSON object, without evaluating FHIRPath.

A shortcut is never wrong, but it may not know: True and False are what FHIRPath would say, None leaves it to FHIRPath.
https://hl7.org/fhirpath/N1/#boolean-logic
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    Identifier,
    Invocation,
    Literal,
    Union,
    Variable,
)
from fhir_server.fhir.fhirpath.elements import is_primitive, rows
from fhir_server.fhir.fhirpath.parser import parse
from fhir_server.validation.findings import Json, Shortcut

# What nothing gives nothing to. Of what is there, nobody knows what they make.
_EMPTY_OF_EMPTY = frozenset(
    {"where", "select", "first", "last", "tail", "resolve", "ofType", "as", "trace", "descendants"}
)
_TRUE_OF_EMPTY = frozenset({"all", "isDistinct"})
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_TEXTS = frozenset({"code", "string", "uri", "url", "canonical", "markdown", "id", "oid", "uuid"})
_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_UCUM = "http://unitsofmeasure.org"


def unknown(item: Json) -> bool | None:
    """Leave the answer to FHIRPath."""
    return None


def shortcut(expression: str, type_name: str) -> Shortcut:
    """Return what can be told of an invariant of this type from the members of an object."""
    return _Reader(type_name).condition(parse(expression))


class _Reader:
    """Turns the parts of an expression it understands into shortcuts; the rest is unknown."""

    def __init__(self, type_name: str) -> None:
        self._type = type_name
        self._rows = rows(type_name)

    def condition(self, tree: Expression) -> Shortcut:
        """Return the shortcut of an expression that is a condition."""
        if isinstance(tree, Binary):
            return self._binary(tree)
        if isinstance(tree, Invocation) and isinstance(tree.member, Call):
            return self._call(tree.target, tree.member)
        return unknown

    def _binary(self, tree: Binary) -> Shortcut:
        match tree.operator:
            case "and":
                return _both(self.condition(tree.left), self.condition(tree.right))
            case "or":
                return _either(self.condition(tree.left), self.condition(tree.right))
            case "implies":
                return _either(_negated(self.condition(tree.left)), self.condition(tree.right))
            case "xor":
                return _negated(_same(self.condition(tree.left), self.condition(tree.right)))
            case "=":
                return self._equal(tree)
            case "!=":
                return _negated(self._equal(tree))
            case "in":
                return self._one_of(tree)
        return self._ordered(tree) if tree.operator in _ORDERS else unknown

    def _call(self, target: Expression, call: Call) -> Shortcut:
        if call.name in _TRUE_OF_EMPTY:
            present = self.presence(target)
            return unknown if present is unknown else lambda item: True if present(item) is False else None
        if call.arguments:
            return unknown
        if call.name == "exists":
            return self.presence(target)
        if call.name == "empty":
            return _negated(self.presence(target))
        if call.name == "not":
            return _negated(self.condition(target))
        return self._has_value(target) if call.name == "hasValue" else unknown

    def presence(self, tree: Expression) -> Shortcut:
        """Return whether a path leads anywhere."""
        if isinstance(tree, Identifier):
            return self._member(tree.name)
        if isinstance(tree, Union):
            branches = [self.presence(branch) for branch in tree.branches]
            found = branches[0]
            for branch in branches[1:]:
                found = _either(found, branch)
            return found
        if not isinstance(tree, Invocation):
            return unknown
        if isinstance(tree.member, Identifier) and tree.target == Identifier(self._type):
            return self._member(tree.member.name)
        if isinstance(tree.member, Call) and tree.member.name not in _EMPTY_OF_EMPTY:
            return unknown
        above = self.presence(tree.target)
        return unknown if above is unknown else lambda item: False if above(item) is False else None

    def _member(self, name: str) -> Shortcut:
        pairs = self._rows.get(name)
        if not pairs:
            return unknown
        keys = {key for key, _ in pairs} | {"_" + key for key, own in pairs if is_primitive(own)}
        if len(pairs) > 1:
            absent = keys.isdisjoint
            return lambda item: not absent(item)
        key = pairs[0][0]
        if len(keys) == 1:
            return lambda item: key in item
        sibling = "_" + key
        return lambda item: key in item or sibling in item

    def _has_value(self, target: Expression) -> Shortcut:
        key, _ = self._single(target, _TEXTS | _NUMBERS | {"dateTime", "instant", "date"})
        return (lambda item: item.get(key) is not None) if key else unknown

    def _equal(self, tree: Binary) -> Shortcut:
        left, right = self.condition(tree.left), self.condition(tree.right)
        if left is not unknown and right is not unknown:
            return _same(left, right)
        expected = _constant(tree.right)
        key, own = self._single(tree.left, _TEXTS | {"boolean"})
        if not key or type(expected) is not (bool if own == "boolean" else str):
            return unknown
        kind = type(expected)
        return lambda item: (value == expected) if type(value := item.get(key)) is kind else None

    def _one_of(self, tree: Binary) -> Shortcut:
        key, _ = self._single(tree.left, _TEXTS)
        values = [_constant(branch) for branch in tree.right.branches] if isinstance(tree.right, Union) else []
        if not key or not values or any(type(value) is not str for value in values):
            return unknown
        allowed = frozenset(values)
        return lambda item: (value in allowed) if type(value := item.get(key)) is str else None

    def _ordered(self, tree: Binary) -> Shortcut:
        key, _ = self._single(tree.left, _NUMBERS)
        limit, compare = _constant(tree.right), _ORDERS[tree.operator]
        if not key or type(limit) not in (int, Decimal):
            return unknown
        return lambda item: compare(value, limit) if _is_number(value := item.get(key)) else None

    def _single(self, tree: Expression, kinds: frozenset[str]) -> tuple[str, str]:
        """Return the JSON name and type of a member with one value of these kinds; empty texts for all else."""
        if not isinstance(tree, Identifier):
            return "", ""
        pairs = self._rows.get(tree.name, ())
        element = r4().types[self._type].element(tree.name)
        if len(pairs) != 1 or element is None or element.repeats or pairs[0][1] not in kinds:
            return "", ""
        return pairs[0]


def _constant(tree: Expression) -> Any:
    if tree == Variable("ucum"):
        return _UCUM
    return tree.node.value if isinstance(tree, Literal) and tree.node is not None else None


def _is_number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, Decimal) and value.is_finite())


def _negated(operand: Shortcut) -> Shortcut:
    if operand is unknown:
        return unknown
    return lambda item: None if (value := operand(item)) is None else not value


def _either(left: Shortcut, right: Shortcut) -> Shortcut:
    if left is unknown and right is unknown:
        return unknown

    def decide(item: Json) -> bool | None:
        first = left(item)
        if first:
            return True
        second = right(item)
        return True if second else None if first is None else second

    return decide


def _both(left: Shortcut, right: Shortcut) -> Shortcut:
    if left is unknown and right is unknown:
        return unknown

    def both(item: Json) -> bool | None:
        first = left(item)
        if first is False:
            return False
        second = right(item)
        return False if second is False else None if first is None else second

    return both


def _same(left: Shortcut, right: Shortcut) -> Shortcut:
    if left is unknown or right is unknown:
        return unknown

    def same(item: Json) -> bool | None:
        first, second = left(item), right(item)
        return None if first is None or second is None else first is second

    return same
