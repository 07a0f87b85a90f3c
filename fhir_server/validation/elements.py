"""Checkers of JSON objects and arrays: members, cardinality, choices, primitive extensions.

https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.validation.findings import (
    ONLY_AN_ID,
    Checker,
    Findings,
    Held,
    Json,
    JsonValue,
    Rule,
    below,
    did_you_mean,
    is_full,
    refuse,
    shown,
    step,
    wrong_kind,
)

_EMPTY_OBJECT = "An object must not be empty; leave the member out."
_EMPTY_ARRAY = "An array must not be empty; leave the member out."
_TOO_DEEP = f"Nested deeper than {MAX_DEPTH} levels."


@dataclass(slots=True)
class Shape:
    """What a type's objects may hold. Filled after its checker exists, because types contain themselves.

    `members` has the checker of every JSON name, `steps` the FHIRPath step where it differs from the name (`value` for
    `valueString`), `choices` the JSON names of each choice, `required` the names that must be there, `rules` the
    invariants. Elements, unlike resources, need more than an id.
    """

    title: str
    members: dict[str, Checker] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    choices: dict[str, frozenset[str]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    required_choices: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    is_element: bool = False

    def step(self, name: str) -> str:
        """Return the FHIRPath step to the member."""
        return "." + self.steps[name] if name in self.steps else step(name)


def object_of(shape: Shape) -> Checker:
    """Return the checker of a JSON object that has this shape."""
    member_of = shape.members.get
    required, choices, required_choices = shape.required, shape.choices, shape.required_choices
    rules = shape.rules

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not dict:
            return wrong_kind("an object", item)
        if depth >= MAX_DEPTH or not item:
            return refuse("structure", _TOO_DEEP if item else _EMPTY_OBJECT)
        depth += 1
        found: Findings | None = None
        for name, value in item.items():
            member = member_of(name)
            problems = _unknown(shape, name) if member is None else member(value, item, depth, held)
            if problems is not None:
                found = below(shape.step(name), problems, found)
                if is_full(found):
                    return found
        for name in required:
            if name not in item:
                found = _missing(shape, name, item, found)
        for name in required_choices:
            if choices[name].isdisjoint(item):
                text = f"{shape.title}.{name}[x] is required: give one of {_some(choices[name])}."
                found = below("." + name, refuse("required", text), found)
        for holds, explain in rules:
            if not holds(item):
                problems = explain(item)
                if problems is not None:
                    found = below("", problems, found)
        if len(item) == 1 and "id" in item and shape.is_element:
            found = below("", refuse("invariant", ONLY_AN_ID), found)
        return found

    return check


def array_of(one: Checker) -> Checker:
    """Return the checker of an array of objects."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not list:
            return wrong_kind("an array", item)
        if depth >= MAX_DEPTH or not item:
            return refuse("structure", _TOO_DEEP if item else _EMPTY_ARRAY)
        depth += 1
        found: Findings | None = None
        for index, value in enumerate(item):
            problems = one(value, parent, depth, held)
            if problems is not None:
                found = below(f"[{index}]", problems, found)
                if is_full(found):
                    break
        return found

    return check


def array_of_primitives(name: str, one: Checker) -> Checker:
    """Return the checker of an array of primitives, where null stands for a value that has only an extension."""
    sibling = "_" + name

    def has_extension(parent: Json, index: int) -> bool:
        extensions = parent.get(sibling)
        return type(extensions) is list and index < len(extensions) and extensions[index] is not None

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not list:
            return wrong_kind("an array", item)
        if depth >= MAX_DEPTH or not item:
            return refuse("structure", _TOO_DEEP if item else _EMPTY_ARRAY)
        found: Findings | None = None
        for index, value in enumerate(item):
            problems = one(value, parent, depth, held)
            if problems is not None and not (value is None and has_extension(parent, index)):
                found = below(f"[{index}]", problems, found)
                if is_full(found):
                    break
        return found

    return check


def extensions_of_array(name: str, one: Checker) -> Checker:
    """Return the checker of `_name` next to an array of primitives: as long as it is, null where nothing is said."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not list:
            return wrong_kind("an array", item)
        if depth >= MAX_DEPTH or not item:
            return refuse("structure", _TOO_DEEP if item else _EMPTY_ARRAY)
        values = parent.get(name)
        given = values if type(values) is list else ()
        if given and len(given) != len(item):
            text = f"The arrays {name} and _{name} must have the same length; fill the gaps with null."
            return refuse("structure", text)
        found: Findings | None = None
        for index, value in enumerate(item):
            if value is None:
                problems = None if name in parent else refuse("structure", "Neither a value nor an extension is here.")
            else:
                problems = one(value, parent, depth + 1, held)
                if problems is None and len(value) == 1 and "id" in value and given[index : index + 1] in ([], [None]):
                    problems = refuse("invariant", ONLY_AN_ID)
            if problems is not None:
                found = below(f"[{index}]", problems, found)
                if is_full(found):
                    break
        return found

    return check


def extensions_of(name: str, one: Checker) -> Checker:
    """Return the checker of `_name` next to one primitive; where there is no value, an id alone says nothing."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = one(item, parent, depth, held)
        if found is None and len(item) == 1 and "id" in item and name not in parent:
            return refuse("invariant", ONLY_AN_ID)
        return found

    return check


def choice_of(name: str, group: frozenset[str], one: Checker) -> Checker:
    """Return the checker of one member of a choice: no member of another type may stand beside it."""
    own = frozenset({name, "_" + name})

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = one(item, parent, depth, held)
        given = group.intersection(parent)
        if len(given) == 1 or given <= own:
            return found
        if next(key for key in parent if key in given) != name:
            return found  # the first of them has already said it
        text = f"Only one of {', '.join(key for key in parent if key in given)} may be given."
        return below("", refuse("structure", text), found)

    return check


def _missing(shape: Shape, name: str, item: Json, found: Findings | None) -> Findings | None:
    """A required primitive is also there when only its extension is."""
    if "_" + name in item and "_" + name in shape.members:
        return found
    return below(shape.step(name), refuse("required", f"{shape.title}.{name} is required."), found)


def _unknown(shape: Shape, name: str) -> Findings:
    if name == "fhir_comments":
        return refuse("structure", "fhir_comments is not part of FHIR R4.")
    for choice, group in shape.choices.items():
        bare = name.removeprefix("_")
        if bare == choice:
            return refuse("structure", f"{shape.title}.{choice}[x] is written with its type: {_some(group)}.")
        if bare.startswith(choice) and bare[len(choice) :][:1].isupper():
            return refuse("structure", f"{shape.title}.{choice}[x] cannot be {shown(bare)}; allowed: {_some(group)}.")
    if name.startswith("_") and name[1:] in shape.members:
        return refuse("structure", f"{shape.title}.{shown(name[1:])} is no primitive, so it has no {shown(name)}.")
    known = [known for known in shape.members if not known.startswith("_")]
    return refuse("structure", f"{shape.title} has no element {shown(name)}.{did_you_mean(name, known)}")


def _some(names: Iterable[str], limit: int = 12) -> str:
    listed: Sequence[str] = sorted(name for name in names if not name.startswith("_"))
    return ", ".join(listed[:limit]) + (" ..." if len(listed) > limit else "")
