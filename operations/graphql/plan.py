"""A selection made ready for one type: every field checked against the definitions, every argument read.

Mistakes are found here, before anything is read from the store. Where a field gives resources of several types (what a
Reference refers to), the plan of each is made when one is met; beforehand it is checked that there is one at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql.language import FieldNode

from fhir_server.api import NotSupported, TooCostly, is_id
from fhir_server.api.definitions import r4
from operations.graphql.document import Document
from operations.graphql.filters import Filter, Filters
from operations.graphql.limits import MAX_DEPTH, MAX_FIELDS
from operations.graphql.refusals import Refused, refused, refusing
from operations.graphql.schema import ANY, Field, Kind, field_of, graphql_name, root_field
from operations.graphql.searches import Search, Searches
from operations.graphql.selections import NO_TYPE, Selected, Selections, named_types, selected
from operations.graphql.shape import PLAIN, Shape, read_shape
from operations.graphql.values import arguments, texts

_LEAVES = (Kind.VALUE, Kind.TYPE_NAME)
Given = Mapping[str, Any]


@dataclass(slots=True)
class Step:
    """One field to answer. `below` plans what is selected on it if that is of one type, else `selections` say it.

    `id` is that of a resource to read, `types` and `is_optional` belong to a Reference's resource.
    """

    key: str
    field: Field
    node: FieldNode
    shape: Shape = PLAIN
    selections: Selections = ()
    below: Plan | None = None
    filter: Filter | None = None
    id: str = ""
    types: tuple[str, ...] = ()
    is_optional: bool = False
    search: Search | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields to answer on one type; `size` counts them with all below, `height` the levels.

    In a plain one every field has a name of its own, and no directive changes its form.
    """

    type: str
    steps: tuple[Step, ...]
    size: int
    height: int
    is_plain: bool


class Planner:
    """Makes the plans of one query, each once."""

    def __init__(self, document: Document, filters: Filters, searches: Searches) -> None:
        self._document = document
        self._filters = filters
        self._searches = searches
        self._plans: dict[tuple[Any, ...], Plan | Refused | None] = {}
        self._depth = 0

    def top(self, type_name: str) -> Plan:
        """Return the plan of the whole query, on the system (NO_TYPE) or on one resource."""
        return self.plan((self._document.operation.selection_set,), type_name, is_top=True)

    def plan(
        self, selections: Selections, type_name: str, targets: tuple[str, ...] = (), *, is_top: bool = False
    ) -> Plan:
        """Return the plan for a type; `targets` are those that a Reference may have.

        Raises Refused naming the field or argument that is wrong.
        """
        key = (*map(id, selections), type_name, targets)
        if key not in self._plans:
            self._plans[key] = None
            self._depth += 1
            try:
                self._plans[key] = self._made(selections, type_name, targets, is_top=is_top)
            except Refused as refusal:
                self._plans[key] = refusal
            finally:
                self._depth -= 1
        known = self._plans[key]
        if known is None:
            raise refused("A fragment contains itself.", selections[0])
        if isinstance(known, Refused):
            raise known
        return known

    def _made(self, selections: Selections, type_name: str, targets: tuple[str, ...], *, is_top: bool) -> Plan:
        if self._depth > MAX_DEPTH:
            raise _too_deep(selections)
        rows = selected(self._document, selections, type_name)
        steps = tuple(self._step(row, type_name, targets, is_top=is_top) for row in rows)
        below = [step.below for step in steps if step.below is not None]
        made = Plan(
            type_name,
            steps,
            size=len(steps) + sum(p.size for p in below),
            height=1 + max((p.height for p in below), default=0),
            is_plain=len({s.key for s in steps}) == len(steps) and all(s.shape == PLAIN for s in steps),
        )
        if made.height > MAX_DEPTH:
            raise _too_deep(selections)
        if made.size > MAX_FIELDS:
            raise refusing(TooCostly(f"The query selects more than {MAX_FIELDS} fields."), selections[0])
        return made

    def _step(self, row: Selected, type_name: str, targets: tuple[str, ...], *, is_top: bool) -> Step:
        node, field = row.node, _field(row, type_name)
        variables = self._document.variables
        given = arguments(node.arguments or (), variables)
        step = Step(row.key, field, node, selections=tuple(row.below))
        step.shape = read_shape(node, self._filters, field.type, variables)
        if field.kind in _LEAVES:
            if row.below:
                raise refused(f"{row.name} is a scalar; nothing can be selected on it.", node)
            if given:
                raise refused(f"{row.name} is a scalar and takes no argument {next(iter(given))}.", node)
            return step
        if not row.below:
            raise refused(f"{row.name} is an object; say in braces which of its fields you want.", node)
        match field.kind:
            case Kind.OBJECT:
                step.filter = self._filters.of_elements(given, field.type, node)
                step.below = self.plan(step.selections, field.type, field.targets)
            case Kind.RESOURCE:
                step.filter = self._filters.of_elements(given, field.type, node)
                self._plan_resources(step, ())
            case Kind.TARGET:
                step.types, step.is_optional = _target(given, node)
                self._plan_resources(step, step.types or targets)
            case Kind.READ:
                step.id = _id(given, node)
                step.below = self.plan(step.selections, field.type)
            case Kind.LIST:
                step.below = self.plan(step.selections, field.type)
            case Kind.CONNECTION:
                step.below = self.plan(step.selections, field.name)
        if field.kind in (Kind.LIST, Kind.CONNECTION):
            step.search = self._searches.read(field, given, node, is_below=type_name != NO_TYPE, is_top=is_top)
        return step

    def _plan_resources(self, step: Step, candidates: tuple[str, ...]) -> None:
        """Plan for resources of one type; of several, see that every type named and one at least can be selected on."""
        if step.field.type != ANY:
            step.below = self.plan(step.selections, step.field.type)
            return
        for name in named_types(self._document, step.selections) & r4().resource_types:
            self.plan(step.selections, name)
        self._plan_any(step.selections, sorted(candidates or r4().resource_types))

    def _plan_any(self, selections: Selections, candidates: Iterable[str]) -> None:
        first: Refused | None = None
        for name in candidates:
            try:
                self.plan(selections, name)
            except Refused as refusal:
                if isinstance(refusal.failure, TooCostly):
                    raise
                first = first or refusal
            else:
                return
        if first is not None:
            raise first


def _too_deep(selections: Selections) -> Refused:
    return refusing(TooCostly(f"The query is nested deeper than {MAX_DEPTH} levels."), selections[0])


def _field(row: Selected, type_name: str) -> Field:
    field = root_field(row.name) if type_name == NO_TYPE else field_of(type_name, row.name)
    if field is not None:
        return field
    if row.name in ("__schema", "__type"):
        raise refusing(
            NotSupported(f"{row.name}: introspection is not supported; fields are those of FHIR R4."), row.node
        )
    if type_name == NO_TYPE:
        raise refused(
            f"There is no {row.name[:64]} to query. Begin with a resource type: Patient(id: ...), PatientList or "
            "PatientConnection.",
            row.node,
        )
    element = r4().types[type_name].element(row.name) if type_name in r4().types else None
    hint = f"; it has {' and '.join(list(element.json_names())[:2])}" if element is not None and element.choice else ""
    raise refused(f"{graphql_name(type_name)} has no field {row.name[:64]}{hint}.", row.node)


def _target(given: Given, node: FieldNode) -> tuple[tuple[str, ...], bool]:
    """Return the types and whether it may be missing, of `resource(type: Patient, optional: true)`."""
    unknown = set(given) - {"type", "optional"}
    optional = given.get("optional", False)
    if unknown or type(optional) is not bool:
        what = f"no argument {min(unknown)}" if unknown else "optional: true or false"
        raise refused(f"resource takes {what}.", node)
    types = tuple(texts(given["type"])) if "type" in given else ()
    for name in types:
        if name not in r4().resource_types:
            raise refused(f"type: there is no resource type {name[:64]} in FHIR R4.", node)
    return types, optional


def _id(given: Given, node: FieldNode) -> str:
    """Return the id to read; `_id` is understood too."""
    unknown = set(given) - {"id", "_id"}
    if unknown:
        raise refused(f"{node.name.value} takes id and no argument {min(unknown)}; use {node.name.value}List.", node)
    ids = texts(list(given.values()))
    if len(ids) != 1 or not is_id(ids[0]):
        raise refused(f"{node.name.value} takes one id of 1 to 64 of the characters A-Z a-z 0-9 - and .", node)
    return ids[0]
