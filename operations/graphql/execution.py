"""A planned query run: what is at hand goes into the answer at once, what must be read is read level by level.

https://spec.graphql.org/October2021/#sec-Execution
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.api import Json
from operations.graphql.loading import Loader, Place, Waiting
from operations.graphql.output import Budget, Output
from operations.graphql.plan import Plan, Planner, Step
from operations.graphql.schema import Kind, graphql_name
from operations.graphql.selections import NO_TYPE


class Execution:
    """One run of one query."""

    def __init__(self, planner: Planner, loader: Loader) -> None:
        self._planner = planner
        self._loader = loader
        self._budget = Budget()
        self._waiting: list[Waiting] = []

    async def run(self, plan: Plan, resource: Json) -> Json:
        """Return the data of a query on a resource, or on the system with an empty one."""
        answer = Output(self._budget)
        self._object(plan, resource, Place(resource, resource), answer)
        while self._waiting:
            level, self._waiting = self._waiting, []
            for one, found in zip(level, await self._loader.load(level), strict=True):
                for value, place in found:
                    self._values(one.step, [value], place, one.output, one.suffix, in_list=one.in_list)
        return answer.json()

    def _object(
        self, plan: Plan, value: Json, place: Place, output: Output, suffix: str = "", *, in_list: bool = False
    ) -> None:
        """Answer the fields of one object; `suffix` and `in_list` come from flattened objects around it."""
        self._budget.spend(len(plan.steps))
        for step in plan.steps:
            match step.field.kind:
                case Kind.VALUE | Kind.OBJECT | Kind.RESOURCE:
                    found = value.get(step.field.name)
                    if found is None:
                        continue
                    elements: Sequence[Any] = found if isinstance(found, list) else [found]
                    if step.filter is not None:
                        elements = step.filter(elements, place.resource)
                    self._values(step, elements, place, output, suffix, in_list=in_list)
                case Kind.TYPE_NAME:
                    name = "Query" if plan.type == NO_TYPE else graphql_name(plan.type)
                    self._values(step, [name], place, output, suffix, in_list=in_list)
                case _:
                    if not step.shape.is_flat:
                        output.reserve(step.key + suffix, step)
                    self._waiting.append(Waiting(step, value, place, output, suffix, in_list))

    def _values(
        self, step: Step, found: Sequence[Any], place: Place, output: Output, suffix: str, *, in_list: bool
    ) -> None:
        """Put the values of a field into the answer, in the form that its directives say."""
        shape = step.shape
        if shape.is_first:
            found = found[:1]
        in_list = in_list or (step.field.repeats and not shape.is_first)
        for index, value in enumerate(found):
            ending = suffix + shape.suffix(value, index, place.resource) if shape.suffix is not None else suffix
            if step.field.kind in (Kind.VALUE, Kind.TYPE_NAME) or value is None:
                if value is not None or not shape.is_flat:
                    output.add(step.key + ending, value, step, in_list=in_list)
                continue
            plan, inside = self._below(step, value), place
            if step.field.kind is Kind.RESOURCE:
                inside = Place(value, place.container if step.field.name == "contained" else value)
            if shape.is_flat:
                self._object(plan, value, inside, output, ending, in_list=in_list)
            else:
                below = output.below()
                output.add(step.key + ending, below, step, in_list=in_list)
                self._object(plan, value, inside, below)

    def _below(self, step: Step, value: Json) -> Plan:
        """Return the plan for a value: the step's, or for a resource of any type that of its own."""
        return step.below or self._planner.plan(step.selections, value["resourceType"])
