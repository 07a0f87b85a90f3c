"""The filters of a value set: a property of a concept, an operator, a value. https://hl7.org/fhir/R4/valueset-filter-operator.html

`child-of` and `descendent-leaf` are of R5 and of value sets that tools carried back to R4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from terminology import patterns
from terminology.codesystem import CodeSystem, Node
from terminology.failures import Broken, Unsupported

Json = dict[str, Any]
Test = Callable[[Node], bool]

MAX_VALUES = 10_000
# Properties that a code system need not declare. https://hl7.org/fhir/R4/codesystem-concept-properties.html
KNOWN = frozenset(
    {"inactive", "deprecated", "deprecationDate", "notSelectable", "parent", "child", "status", "abstract"}
)


def compile_filter(row: Json, system: CodeSystem, expression: str) -> Test:
    """Return the test that a filter makes of a concept.

    Raises Broken for a filter without a value, Unsupported for an operator or a property that neither FHIR nor the code
    system knows: to pass over it would give a wrong list of codes.
    """
    name, operator, value = (str(row.get(k, "")) for k in ("property", "op", "value"))
    if not value:
        raise Broken(
            f"The system {system.url} filter with property = {name}, op = {operator} has no value", expression, "filter"
        )
    if operator in _HIERARCHY and name in ("concept", "code"):
        return _HIERARCHY[operator](system, value)
    if operator not in _VALUES:
        raise Unsupported(f"The filter {name} {operator} on {system.url} is not supported.")
    read = _reader(name, system)
    if operator == "=" and name in ("concept", "code"):
        return lambda node: system.get(value) is node
    return _VALUES[operator](read, value)


def _is_a(system: CodeSystem, value: str) -> Test:
    codes = system.descendants(value) | {value}
    return lambda node: node.code in codes or system.get(value) is node


def _descendent_of(system: CodeSystem, value: str) -> Test:
    codes = system.descendants(value)
    return lambda node: node.code in codes


def _is_not_a(system: CodeSystem, value: str) -> Test:
    inside = _is_a(system, value)
    return lambda node: not inside(node)


def _generalizes(system: CodeSystem, value: str) -> Test:
    codes = system.ancestors(value)
    return lambda node: node.code in codes or system.get(value) is node


def _child_of(system: CodeSystem, value: str) -> Test:
    parent = system.get(value)
    codes = frozenset(parent.children) if parent else frozenset()
    return lambda node: node.code in codes


def _leaf(system: CodeSystem, value: str) -> Test:
    below = _descendent_of(system, value)
    return lambda node: not node.children and below(node)


_HIERARCHY: dict[str, Callable[[CodeSystem, str], Test]] = {
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "generalizes": _generalizes,
    "child-of": _child_of,
    "descendent-leaf": _leaf,
}

Read = Callable[[Node], Iterator[str]]


def _reader(name: str, system: CodeSystem) -> Read:
    """Return what reads a property of a concept as texts."""
    if name in ("code", "concept"):
        return lambda node: iter((node.code,))
    if name == "display":
        return lambda node: iter((node.display,))
    if name == "definition":
        return lambda node: iter((node.definition,))
    if name == "designation":
        return lambda node: (str(d.get("value", "")) for d in node.designations)
    if name == "parent":
        return lambda node: iter(node.parents)
    if name == "child":
        return lambda node: iter(node.children)
    declared = {p.get("code") for p in system.head.get("property", ())}
    if name not in declared and name not in KNOWN:
        raise Unsupported(f"{system.url} has no property {name[:64]!r} to filter by.")
    names = (name,) if name in declared else system.property_names(name)
    return lambda node: map(_text, node.values(names))


def _text(value: Any) -> str:
    """Return a property's value as a filter writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _equal(read: Read, value: str) -> Test:
    return lambda node: value in read(node)


def _regex(read: Read, value: str) -> Test:
    pattern = patterns.whole(value)
    return lambda node: any(pattern.fullmatch(text) is not None for text in read(node))


def _values(value: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in value.split(","))
    if len(found) > MAX_VALUES:
        raise Broken(f"A filter may list {MAX_VALUES} values; this lists {len(found)}.")
    return found


def _in(read: Read, value: str) -> Test:
    values = _values(value)
    return lambda node: any(text in values for text in read(node))


def _not_in(read: Read, value: str) -> Test:
    values = _values(value)
    return lambda node: not any(text in values for text in read(node))


def _exists(read: Read, value: str) -> Test:
    if value not in ("true", "false"):
        raise Broken("The value of an exists filter is true or false.")
    return lambda node: any(True for _ in read(node)) is (value == "true")


_VALUES: dict[str, Callable[[Read, str], Test]] = {
    "=": _equal,
    "regex": _regex,
    "in": _in,
    "not-in": _not_in,
    "exists": _exists,
}
