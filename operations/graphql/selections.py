"""Which fields a selection asks for on one type: fragments spread out, @skip and @include obeyed, twins merged.

https://spec.graphql.org/October2021/#sec-Field-Collection
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql.language import (
    DirectiveNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NamedTypeNode,
    SelectionSetNode,
    print_ast,
)

from fhir_server.api import TooCostly
from operations.graphql.document import Document
from operations.graphql.limits import MAX_FIELDS
from operations.graphql.refusals import refused, refusing
from operations.graphql.schema import is_a, type_names
from operations.graphql.values import arguments

Selections = tuple[SelectionSetNode, ...]
# Selection sets and fragments on the system level and of connections have no FHIR type.
NO_TYPE = ""


@dataclass(slots=True)
class Selected:
    """One field to answer: its name in the answer, its first node, and what is selected below it."""

    key: str
    node: FieldNode
    below: list[SelectionSetNode]
    sets: list[SelectionSetNode]

    @property
    def name(self) -> str:
        """The name of the field in its type."""
        return self.node.name.value


def selected(document: Document, selections: Selections, type_name: str) -> list[Selected]:
    """Return the fields in the order they stand in the query.

    A field that comes a second time by a fragment is one field, as GraphQL says. One that is written twice in the same
    selection gives two answers, which stand in a list: so do the test cases of FHIR, and `resource(type: Patient)`
    beside `resource(type: Group)` needs it.
    """
    found: list[Selected] = []
    by_key: dict[str, list[Selected]] = {}
    for holder, node in _fields(document, selections, type_name, set()):
        key = node.alias.value if node.alias else node.name.value
        below = [node.selection_set] if node.selection_set is not None else []
        twins = by_key.setdefault(key, [])
        twin = next((s for s in twins if _may_merge(s, node, holder)), None)
        if twin is None:
            found.append(Selected(key, node, below, [holder]))
            twins.append(found[-1])
            if len(found) > MAX_FIELDS:
                raise refusing(TooCostly(f"The query selects more than {MAX_FIELDS} fields."), node)
        else:
            twin.below += below
            twin.sets.append(holder)
    return found


def _may_merge(one: Selected, node: FieldNode, holder: SelectionSetNode) -> bool:
    if one.name != node.name.value:
        raise refused(f"{one.name} and {node.name.value} would both be called {one.key}; give one another alias.", node)
    is_leaf = node.selection_set is None
    return (is_leaf or all(s is not holder for s in one.sets)) and _shape(one.node) == _shape(node)


def _shape(node: FieldNode) -> list[str]:
    """Return what else than its selection makes a field what it is, as text to compare."""
    directives = (d for d in node.directives or () if d.name.value not in ("skip", "include"))
    return sorted(print_ast(n) for n in (*(node.arguments or ()), *directives))


def _fields(
    document: Document, selections: Iterable[SelectionSetNode], type_name: str, spread: set[str]
) -> Iterator[tuple[SelectionSetNode, FieldNode]]:
    """Yield the fields with the selection set each stands in; a fragment is spread once."""
    for selection_set in selections:
        document.spend(len(selection_set.selections))
        for node in selection_set.selections:
            if not _is_included(node.directives or (), document.variables):
                continue
            if isinstance(node, FieldNode):
                yield selection_set, node
                continue
            condition: NamedTypeNode | None
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in spread:
                    continue
                spread.add(name)
                fragment = document.fragments.get(name)
                if fragment is None:
                    raise refused(f"There is no fragment {name}.", node)
                condition, inner = fragment.type_condition, fragment.selection_set
            else:
                assert isinstance(node, InlineFragmentNode), "a selection is a field or a fragment"
                condition, inner = node.type_condition, node.selection_set
            if condition is None or _holds(condition, type_name):
                yield from _fields(document, (inner,), type_name, spread)


def _holds(condition: NamedTypeNode, type_name: str) -> bool:
    wanted = condition.name.value
    if wanted == "Query":
        return type_name == NO_TYPE
    if wanted == type_name:
        return True
    known = type_names().get(wanted)
    if known is None:
        raise refused(f"There is no type {wanted}, so nothing can be selected on it.", condition)
    return type_name != NO_TYPE and is_a(type_name, known)


def _is_included(directives: Iterable[DirectiveNode], variables: Mapping[str, Any]) -> bool:
    included = True
    for node in directives:
        if node.name.value in ("skip", "include"):
            given = arguments(node.arguments or (), variables)
            condition = given.pop("if", None)
            if type(condition) is not bool or given:
                raise refused(f"@{node.name.value} takes one argument, if: true or false.", node)
            included = included and condition is (node.name.value == "include")
    return included


def named_types(document: Document, selections: Selections) -> set[str]:
    """Return the types that fragments of a selection are for."""
    found: set[str] = set()
    for selection_set in selections:
        for node in selection_set.selections:
            if isinstance(node, FragmentSpreadNode):
                fragment = document.fragments.get(node.name.value)
                condition = fragment.type_condition if fragment is not None else None
            else:
                condition = node.type_condition if isinstance(node, InlineFragmentNode) else None
            if condition is not None:
                found.add(condition.name.value)
    return found
