"""What a profile says of which values belong to a slice. https://hl7.org/fhir/R4/profiling.html#discriminator"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.validation.profiles.codes import codings, memberships
from fhir_server.validation.profiles.conditions import Condition, any_of, reached, together, typed, valued
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.slots import Slot
from fhir_server.validation.profiles.steps import (
    Step,
    Steps,
    Unresolved,
    parsed,
    required_slices,
    slots_at,
    slots_below,
    walk,
)
from fhir_server.validation.profiles.types import base_type, profiles_of, target_profiles
from fhir_server.validation.profiles.values import Test, given, having, parts, same_as

Json = dict[str, Any]
KINDS = ("value", "pattern", "exists", "type", "profile")


def condition_of(slot: Slot, kind: str, path: str) -> Condition | None:
    """Return what a discriminator asks of the values of a slice; None where the slice does not say it."""
    steps = parsed(path)
    if steps is None:
        return None
    last = next((position for position, step in enumerate(steps) if step.kind == "resolve"), None)
    if last is not None and last + 1 < len(steps):
        return _by_target(slot, kind, steps[: last + 1], steps[last + 1 :])
    if kind in ("value", "pattern"):
        return reached(steps, together(_value(slot, steps, slot))) or _by_profile(slot, kind, steps)
    ends = slots_at(slot, steps)
    if not ends:
        return _by_profile(slot, kind, steps)
    if kind == "exists":
        return _exists(ends[0], steps) or _by_profile(slot, kind, steps)
    return (_type if kind == "type" else _profile)(ends[0], steps, last is not None)


def _value(slot: Slot, steps: Steps, start: Slot) -> list[Condition]:
    """Return what the profile says of the values at the end of a path: there, above it in one piece, or below it."""
    if not steps:
        return _own(slot, start) or _deep(slot, start)
    found: list[Condition] = []
    if all(step.kind == "name" for step in steps):
        found += _piece(slot.definition, tuple(step.text for step in steps))
    for below in slots_below(slot, steps[0]):
        found += _value(below, steps[1:], start)
    return found


def _piece(definition: Json, names: tuple[str, ...]) -> list[Condition]:
    makers: tuple[tuple[str, Callable[[Any], Test]], ...] = (("fixed", same_as), ("pattern", having))
    for prefix, test_of in makers:
        whole = given(definition, prefix)
        wanted = parts(whole[1], names) if whole is not None else []
        if wanted:
            return [valued([test_of(one) for one in wanted])]
    return []


def _own(slot: Slot, start: Slot) -> list[Condition]:
    found = _piece(slot.definition, ())
    binding = slot.definition.get("binding")
    if found or type(binding) is not dict or binding.get("strength") != "required":
        return found
    value_set = binding.get("valueSet")
    if type(value_set) is not str or _is_everywhere(slot, start, value_set):
        return []

    def condition(node: Node, run: Run) -> bool | None:
        rows = codings(node.value, node.type)
        return any_of(found.holds for found in memberships(run.answers, value_set, rows, node.type))

    return [condition]


def _is_everywhere(slot: Slot, start: Slot, value_set: str) -> bool:
    """Whether the element that is sliced is bound to the same: such a binding tells no slice from another."""
    whole = start.whole
    for name in slot.path.removeprefix(start.path).split(".")[1:]:
        whole = whole.children.get(name) if whole is not None else None
    binding = whole.definition.get("binding") if whole is not None else None
    return type(binding) is dict and (binding.get("strength"), binding.get("valueSet")) == ("required", value_set)


def _deep(slot: Slot, start: Slot) -> list[Condition]:
    """Return what is said of the elements below: each must have a value that is as it says."""
    found: list[Condition] = []
    for child in slot.children.values():
        for one in (child, *required_slices(child)):
            inner = together(_own(one, start) or _deep(one, start))
            if inner is not None:
                found.append(reached((Step("name", child.name.removesuffix("[x]")),), inner) or inner)
    return found


def _exists(end: Slot, steps: Steps) -> Condition | None:
    if end.definition.get("max") == "0":
        wanted = False
    elif end.definition.get("min"):
        wanted = True
    else:
        return None

    def condition(node: Node, run: Run) -> bool | None:
        try:
            return bool(walk(node, steps, run)) is wanted
        except Unresolved:
            return None

    return condition


def _type(end: Slot, steps: Steps, is_target: bool) -> Condition | None:
    targets = target_profiles(end) if is_target else ()
    codes = frozenset(str(row.get("code")) for row in end.types())
    if not (targets if is_target else codes):
        return None

    def is_one(kind: str) -> bool:
        return kind in codes or not codes.isdisjoint(r4().ancestors(kind))

    def fits(kind: str, run: Run) -> bool | None:
        return any_of(_is_of(kind, url, run) for url in targets)

    if not is_target:
        return reached(steps, typed(is_one))

    def condition(node: Node, run: Run) -> bool | None:
        try:
            return any_of(fits(one.type, run) for one in walk(node, steps, run))
        except Unresolved as error:
            return None if error.kind is None else fits(error.kind, run)

    return condition


def _is_of(kind: str, url: str, run: Run) -> bool | None:
    name = base_type(url, run)
    return None if name is None else name in r4().ancestors(kind)


def _profile(end: Slot, steps: Steps, is_target: bool) -> Condition | None:
    urls = target_profiles(end) if is_target else profiles_of(end)
    if not urls:
        return None

    def condition(node: Node, run: Run) -> bool | None:
        try:
            found = walk(node, steps, run)
        except Unresolved as error:
            kinds = [_is_of(error.kind, url, run) for url in urls] if error.kind is not None else [None]
            return False if any_of(kinds) is False else None
        return any_of(_conforms(one, url, run) for one in found for url in urls)

    return condition


def _conforms(node: Node, url: str, run: Run) -> bool | None:
    kind = _is_of(node.type, url, run)
    if kind is False or base_type(url, None):
        return kind
    profile = run.answers.profile(url)
    if profile is None:
        return None
    at = run.within(node.value, bundle=run.bundle) if "resourceType" in node.value else run
    return at.verdict(profile, node.value)


def _by_profile(slot: Slot, kind: str, steps: Steps) -> Condition | None:
    """Return what the profiles of a slice's type say, where the slice itself says nothing."""
    urls = profiles_of(slot)
    return _asked(urls, kind, steps) if urls else None


def _by_target(slot: Slot, kind: str, way: Steps, rest: Steps) -> Condition | None:
    """Return what the profiles of what a reference leads to say of it."""
    urls = [url for end in slots_at(slot, way) for url in target_profiles(end)]
    asked = _asked(urls, kind, rest) if urls else None
    return reached(way, asked)


def _asked(urls: Sequence[str], kind: str, steps: Steps) -> Condition:
    path = ".".join(map(_written, steps)) or "$this"

    def condition(node: Node, run: Run) -> bool | None:
        profiles = [run.answers.profile(url) for url in urls]
        found = [None if profile is None else profile.condition(kind, path) for profile in profiles]
        return any_of(None if one is None else one(node, run) for one in found)

    return condition


def _written(step: Step) -> str:
    if step.kind == "name":
        return step.text
    return {"extension": f"extension('{step.text}')", "type": f"ofType({step.text})"}.get(step.kind, "resolve()")
