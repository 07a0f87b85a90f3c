"""Straight paths over plain dicts, for where the type is known when the expression is compiled.

A path of FHIR elements (`Observation.component.code`) needs no nodes on the way: each step is a closure from dicts to
dicts, and only the last one makes nodes. https://hl7.org/fhirpath/N1/#path-selection
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.ast import Binary, Call, Expression, Identifier, Literal, TypeOperation
from fhir_server.fhir.fhirpath.elements import Rows, children, is_primitive, primitives, rows
from fhir_server.fhir.fhirpath.equality import distinct_nodes, node_equal
from fhir_server.fhir.fhirpath.nodes import STRING, Collection, Node
from fhir_server.fhir.fhirpath.references import contained_resources, target_type
from fhir_server.fhir.fhirpath.types import specifier, system_types

Json = dict[str, Any]
Values = Callable[[Json], list[Json]]
Nodes = Callable[[Json], Collection]
# From the resource a path starts at, where contained resources are, to a condition on a dict.
Condition = Callable[[Json], Callable[[Json], bool]]

_FEW = 8


def itself(value: Json) -> list[Json]:
    """The path of no steps."""
    return [value]


def step_values(parent: Values, key: str) -> Values:
    """Return the path one complex element further."""

    def values(value: Json) -> list[Json]:
        child = value.get(key)
        if child is None:
            return []
        if type(child) is dict:
            return [child]
        return [item for item in child if type(item) is dict] if type(child) is list else []

    return values if parent is itself else _after(parent, values)


def step_nodes(parent: Values, pairs: Rows) -> Nodes | None:
    """Return the path one last element further, as nodes; None if the element's type depends on the data."""
    nodes = _choice(pairs) if len(pairs) > 1 else _single(*pairs[0])
    if nodes is None or parent is itself:
        return nodes
    return _after(parent, nodes)


def _after(parent: Values, child: Callable[[Json], list[Any]]) -> Callable[[Json], list[Any]]:
    def found(value: Json) -> list[Any]:
        above = parent(value)
        if len(above) == 1:
            return child(above[0])
        return [item for one in above for item in child(one)] if above else above

    return found


def _single(key: str, own: str) -> Nodes | None:
    if is_primitive(own):
        return _primitive(key, own)
    return None if own in ("Resource", "DomainResource") else _complex(key, own)


def _complex(key: str, own: str) -> Nodes:
    def nodes(value: Json) -> Collection:
        child = value.get(key)
        if child is None:
            return []
        if type(child) is dict:
            return [Node(child, own)]
        return [Node(item, own) for item in child if type(item) is dict] if type(child) is list else []

    return nodes


def _primitive(key: str, own: str) -> Nodes:
    sibling = "_" + key

    def nodes(value: Json) -> Collection:
        child, element = value.get(key), value.get(sibling)
        if child is None and element is None:
            return []
        if type(child) is list or type(element) is list:
            return primitives(child, element, own)
        return [Node(child, own, element)]

    return nodes


def _choice(pairs: Rows) -> Nodes:
    singles = [found for key, own in pairs if (found := _single(key, own)) is not None]
    if len(singles) > _FEW:
        return _wide_choice(pairs)

    def nodes(value: Json) -> Collection:
        for single in singles:
            found = single(value)
            if found:
                return found
        return []

    return nodes


def _wide_choice(pairs: Rows) -> Nodes:
    """Return a choice of many types: the members that are there are looked up, not the ones that could be."""
    known: dict[str, Nodes | None] = {key: _single(key, own) for key, own in pairs}
    known |= {"_" + key: known[key] for key, own in pairs if is_primitive(own)}

    def nodes(value: Json) -> Collection:
        for key in value:
            single = known.get(key)
            if single is not None:
                return single(value)
        return []

    return nodes


def wrapped(values: Values, own: str) -> Nodes:
    """Return the nodes of a path of complex values."""
    return lambda value: [Node(item, own) for item in values(value)]


def filtered(parent: Values, condition: Condition) -> Values:
    """Return the path with only the values that satisfy a condition."""

    def values(value: Json) -> list[Json]:
        above = parent(value)
        if not above:
            return above
        is_wanted = condition(value)
        return [one for one in above if is_wanted(one)]

    return values


def extensions(parent: Values, url: str) -> Values:
    """Return the path to the extensions with a url."""
    return filtered(step_values(parent, "extension"), _always(lambda value: value.get("url") == url))


def _always(test: Callable[[Json], bool]) -> Condition:
    return lambda start: test


def condition(criteria: Expression, own: str) -> Condition | None:
    """Return a criterion on values of a complex type as a plain condition, or None if it is not a simple one.

    Simple are `resolve() is Patient`, `system = 'phone'`, and the latter joined by `and`.
    """
    if isinstance(criteria, TypeOperation):
        return _points_to(criteria, own)
    if not isinstance(criteria, Binary):
        return None
    if criteria.operator == "and":
        first, second = condition(criteria.left, own), condition(criteria.right, own)
        if first is None or second is None:
            return None
        return _both(first, second)
    return _says(criteria, own) if criteria.operator == "=" else None


def _both(first: Condition, second: Condition) -> Condition:
    def condition(start: Json) -> Callable[[Json], bool]:
        one, other = first(start), second(start)
        return lambda value: one(value) and other(value)

    return condition


def _points_to(criteria: TypeOperation, own: str) -> Condition | None:
    is_resolve = (
        isinstance(criteria.operand, Call) and criteria.operand.name == "resolve" and not criteria.operand.arguments
    )
    if own != "Reference" or criteria.operator != "is" or not is_resolve:
        return None
    is_wanted = specifier(criteria.type_name).accepts

    def condition(start: Json) -> Callable[[Json], bool]:
        known: dict[str, Json] = {}

        def contained(fragment: str) -> Json | None:
            if not known:
                known.update(contained_resources(start))
            return known.get(fragment)

        return lambda value: is_wanted(target_type(value, start, contained) or "")

    return condition


def _says(criteria: Binary, own: str) -> Condition | None:
    name, literal = criteria.left, criteria.right
    if not isinstance(name, Identifier) or not isinstance(literal, Literal) or literal.node is None:
        return None
    element = r4().types[own].element(name.name)
    if element is None or element.repeats:
        return None
    pairs = rows(own)[name.name]
    if len(pairs) != 1 or system_types().get(pairs[0][1]) != STRING or literal.node.type != STRING:
        return None
    key, expected = name.name, literal.node.value
    return _always(lambda value: value.get(key) == expected)


def merged(branches: list[Nodes], are_plain: bool) -> Nodes:
    """Return the union of paths, without duplicates. Plain nodes (no dates, no quantities) are told apart by value."""
    distinct = _distinct_plain if are_plain else _distinct

    if len(branches) == 1:
        only = branches[0]
        return lambda value: distinct(only(value))

    def nodes(value: Json) -> Collection:
        found: Collection = []
        for branch in branches:
            more = branch(value)
            if more:
                found = found + more if found else more
        return distinct(found)

    return nodes


def _distinct(nodes: Collection) -> Collection:
    if len(nodes) < 2:
        return nodes
    if len(nodes) <= _FEW // 2:
        out: Collection = []
        for node in nodes:
            if not any(node_equal(node, other) for other in out):
                out.append(node)
        return out
    return distinct_nodes(nodes)


def _distinct_plain(nodes: Collection) -> Collection:
    if len(nodes) < 2:
        return nodes
    if len(nodes) > _FEW:
        return _distinct(nodes)
    out: Collection = []
    for node in nodes:
        if node not in out:
            out.append(node)
    return out


def general_step(name: str) -> Callable[[Collection], Collection]:
    """Return the step to an element whatever the types turn out to be."""

    def step(focus: Collection) -> Collection:
        out: Collection = []
        for node in focus:
            getter = children(node.type).get(name)
            if getter is not None:
                getter(node, out)
        return out

    return step
