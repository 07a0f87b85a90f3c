"""A planned query run: what is at hand goes into the answer at once, what must be read is read level by level.

https://spec.graphql.org/October2021/#sec-Execution
"""

from __future__ import annotations

from typing import Any

from fhir_server.api import Json
from operations.graphql.loading import Found, Loader, Place, Waiting
from operations.graphql.output import Budget, Output
from operations.graphql.plan import Plan, Planner, Step
from operations.graphql.schema import Kind, graphql_name
from operations.graphql.selections import NO_TYPE

_VALUE, _TYPE_NAME, _RESOURCE = Kind.VALUE, Kind.TYPE_NAME, Kind.RESOURCE
_INSIDE = (Kind.OBJECT, Kind.RESOURCE)


class Execution:
    """One run of one query.

    An object whose fields have each a name of their own and no directives is made as the dict it will be; one with
    flattened, sliced or doubled fields is an Output first, for values come to its names from several places.
    """

    def __init__(self, planner: Planner, loader: Loader) -> None:
        self._planner = planner
        self._loader = loader
        self._budget = Budget()
        self._waiting: list[Waiting] = []
        self._open: list[tuple[Any, Any, Output]] = []

    async def run(self, plan: Plan, resource: Json) -> Json:
        """Return the data of a query on a resource, or on the system with an empty one."""
        answer: list[Any] = [self._object(plan, resource, Place(resource, resource))]
        self._close_later(answer, 0)
        while self._waiting:
            level, self._waiting = self._waiting, []
            for one, found in zip(level, await self._loader.load(level), strict=True):
                if isinstance(one.output, Output):
                    self._add(one.step, found, one.output, one.suffix, in_list=one.in_list)
                else:
                    self._put(one.step, found, one.output)
        for holder, place, output in reversed(self._open):
            holder[place] = output.json()
        data: Json = answer[0]
        return data

    def _object(self, plan: Plan, value: Json, place: Place) -> Json | Output:
        """Return the answer to the fields of one object."""
        if not plan.is_plain:
            output = Output()
            self._fields(plan, value, place, output)
            return output
        self._budget.spend(len(plan.steps))
        answer: Json = {}
        for step in plan.steps:
            kind = step.field.kind
            if kind is _VALUE:
                found = value.get(step.field.name)
                if found is not None:
                    self._budget.spend_text(found)
                    answer[step.key] = found
            elif kind in _INSIDE:
                self._put(step, self._elements(step, value, place), answer)
            elif kind is _TYPE_NAME:
                answer[step.key] = _type_name(plan)
            else:
                answer[step.key] = None  # keeps the place
                self._waiting.append(Waiting(step, value, place, answer))
        return answer

    def _put(self, step: Step, found: Found, answer: Json) -> None:
        """Put objects into an answer that is a dict."""
        if not found:
            answer.pop(step.key, None)
            return
        objects = [None if v is None else self._object(self._below(step, v), v, place) for v, place in found]
        for index in range(len(objects)):
            self._close_later(objects, index)
        answer[step.key] = objects if step.field.repeats else objects[0]
        if not step.field.repeats:
            self._close_later(answer, step.key)

    def _close_later(self, holder: Any, place: Any) -> None:
        """Remember an Output that stands where its dict is to be, once all of it is there."""
        if type(holder[place]) is Output:
            self._open.append((holder, place, holder[place]))

    def _elements(self, step: Step, value: Json, place: Place) -> Found:
        """Return the elements of a field that its arguments select, each with the resource it is in."""
        found = value.get(step.field.name)
        if found is None:
            return []
        elements = found if isinstance(found, list) else [found]
        if step.filter is not None:
            elements = list(step.filter(elements, place.resource))
        if step.field.kind is _RESOURCE:
            is_contained = step.field.name == "contained"
            return [(e, Place(e, place.container if is_contained else e)) for e in elements]
        return [(e, place) for e in elements]

    def _fields(
        self, plan: Plan, value: Json, place: Place, output: Output, suffix: str = "", *, in_list: bool = False
    ) -> None:
        """Answer the fields of one object; `suffix` and `in_list` come from flattened objects around it."""
        self._budget.spend(len(plan.steps))
        for step in plan.steps:
            kind = step.field.kind
            if kind is _VALUE or kind in _INSIDE:
                self._add(step, self._elements(step, value, place), output, suffix, in_list=in_list)
            elif kind is _TYPE_NAME:
                self._add(step, [(_type_name(plan), place)], output, suffix, in_list=in_list)
            else:
                if not step.shape.is_flat:
                    output.reserve(step.key + suffix, step)
                self._waiting.append(Waiting(step, value, place, output, suffix, in_list))

    def _add(self, step: Step, found: Found, output: Output, suffix: str, *, in_list: bool) -> None:
        """Add the values of a field to an answer, in the form that its directives say."""
        shape = step.shape
        if shape.is_first:
            found = found[:1]
        in_list = in_list or (step.field.repeats and not shape.is_first)
        for index, (value, place) in enumerate(found):
            ending = suffix + shape.suffix(value, index, place.resource) if shape.suffix is not None else suffix
            if value is None or step.field.kind in (_VALUE, _TYPE_NAME):
                if value is not None or not shape.is_flat:
                    self._budget.spend_text(value)
                    output.add(step.key + ending, value, step, in_list=in_list)
            elif shape.is_flat:
                self._fields(self._below(step, value), value, place, output, ending, in_list=in_list)
            else:
                below = self._object(self._below(step, value), value, place)
                output.add(step.key + ending, below, step, in_list=in_list)

    def _below(self, step: Step, value: Json) -> Plan:
        """Return the plan for a value: the step's, or for a resource of any type that of its own."""
        return step.below or self._planner.plan(step.selections, value["resourceType"])


def _type_name(plan: Plan) -> str:
    return "Query" if plan.type == NO_TYPE else graphql_name(plan.type)
