"""The answer as it is put together: names with their values, where flattening adds to a name from several places.

https://hl7.org/fhir/R4/graphql.html#flattening
"""

from __future__ import annotations

from typing import Any

from fhir_server.api import Json, TooCostly
from operations.graphql.limits import MAX_VALUES
from operations.graphql.plan import Step
from operations.graphql.refusals import refused, refusing

# Characters of a text that count as one more value.
_TEXT = 64


class Budget:
    """Counts the work of making an answer: the fields looked at, whether they have values or not, and long texts."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def spend(self, fields: int) -> None:
        """Count some more. Raises Refused when there are too many."""
        self._left -= fields
        if self._left < 0:
            raise refusing(TooCostly(f"The answer has more than {MAX_VALUES} values. Ask for less at once."))

    def spend_text(self, value: Any) -> None:
        """Count a scalar, or a list of them, by its length: a text can be asked for under many names."""
        if type(value) is str:
            if len(value) > _TEXT:
                self.spend(len(value) // _TEXT)
        elif type(value) is list:
            self.spend(len(value))
            for one in value:
                self.spend_text(one)


class _Slot:
    """One name of an object, with the values that have come so far."""

    __slots__ = ("is_list", "type", "values")

    def __init__(self, type_name: str) -> None:
        self.values: list[Any] = []
        self.is_list = False
        self.type = type_name


class Output:
    """One object of the answer."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}

    def reserve(self, name: str, step: Step) -> None:
        """Keep the place of a name whose values come later."""
        if name not in self._slots:
            self._slots[name] = _Slot(step.field.type)

    def add(self, name: str, value: Any, step: Step, *, in_list: bool) -> None:
        """Add a value to a name. Raises Refused for a second one of a @singleton, and for values of several types."""
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = _Slot(step.field.type)
        elif slot.type != step.field.type:
            raise refused(f"{name} would have values of the types {slot.type} and {step.field.type}.", step.node)
        slot.values.append(value)
        if step.shape.is_single:
            if len(slot.values) > 1:
                raise refused(f"{name} is marked @singleton and has more than one value.", step.node)
        elif in_list:
            slot.is_list = True

    def json(self) -> Json:
        """Return the object; names without values are left out, as in FHIR's JSON."""
        found: Json = {}
        for name, slot in self._slots.items():
            if slot.values:
                values = [v.json() if type(v) is Output else v for v in slot.values]
                found[name] = values if slot.is_list or len(values) > 1 else values[0]
        return found
