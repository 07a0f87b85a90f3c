"""The paths of discriminators: a restricted FHIRPath, walked in data and in profiles alike.

https://hl7.org/fhir/R4/profiling.html#discriminator: `$this`, elements, `resolve()`, `extension(url)`, `ofType(type)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.elements import children, resource_node
from fhir_server.fhir.fhirpath.references import target_type
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.slots import Slot

Json = dict[str, Any]

_NAME, _EXTENSION, _RESOLVE, _TYPE = "name", "extension", "resolve", "type"

_token = re.compile(
    r"""(?P<this>\$this)|(?P<function>extension|resolve|ofType|as)\(\s*(?P<argument>'[^']*'|"[^"]*"|[A-Za-z0-9.]*)\s*\)"""
    r"""|`?(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<choice>\[x\])?`?"""
)


class Step(NamedTuple):
    """One step: the `name` of an element, the url of an `extension`, a `resolve`, or a `type` to keep."""

    kind: str
    text: str = ""


Steps = tuple[Step, ...]


def parsed(path: str) -> Steps | None:
    """Return the steps of a discriminator's path, None where it is not one."""
    found: list[Step] = []
    position = 0
    while position < len(path):
        match = _token.match(path, position)
        if match is None:
            return None
        position = match.end()
        if position < len(path):
            if path[position] != "." or position + 1 == len(path):
                return None
            position += 1
        step = _step(match)
        if step is None:
            return None
        if step.text or step.kind == _RESOLVE:
            found.append(step)
    return tuple(found) if path else None


def _step(match: re.Match[str]) -> Step | None:
    if match["this"]:
        return Step(_NAME)
    if match["name"]:
        return Step(_NAME, match["name"])
    argument = match["argument"].strip("'\"")
    if match["function"] == "resolve":
        return None if argument else Step(_RESOLVE)
    if not argument:
        return None
    return Step(_EXTENSION if match["function"] == "extension" else _TYPE, argument.removeprefix("FHIR."))


class Unresolved(Exception):
    """A reference on the way leads to a resource that is not here; `kind` is its type where that is known."""

    def __init__(self, kind: str | None) -> None:
        super().__init__()
        self.kind = kind


def walk(node: Node, steps: Sequence[Step], run: Run) -> list[Node]:
    """Return what a path leads to. Raises Unresolved where a reference leads to nothing that is here."""
    nodes = [node]
    for step in steps:
        reached: list[Node] = []
        for one in nodes:
            _take(one, step, run, reached)
        nodes = reached
    return nodes


def _take(node: Node, step: Step, run: Run, out: list[Node]) -> None:
    if step.kind == _NAME:
        getter = children(node.type).get(step.text)
        if getter is not None:
            getter(node, out)
    elif step.kind == _EXTENSION:
        rows: list[Node] = []
        children(node.type)["extension"](node, rows)
        out += [row for row in rows if row.value.get("url") == step.text]
    elif step.kind == _TYPE:
        if step.text == node.type or step.text in r4().ancestors(node.type):
            out.append(node)
    else:
        out.append(_resolved(node, run))


def _resolved(node: Node, run: Run) -> Node:
    reference = node.value.get("reference") if type(node.value) is dict else node.value
    target = run.find(reference) if type(reference) is str else None
    if target is None:
        raise Unresolved(target_type(node.value, run.root))
    return resource_node(target.resource)


def slots_below(slot: Slot, step: Step) -> list[Slot]:
    """Return the elements of the profile that a step leads to: the element, and the slices of it that must be there."""
    if step.kind == _NAME:
        child = _child(slot, step.text)
        return [] if child is None else [child, *required_slices(child)]
    if step.kind == _EXTENSION:
        whole = slot.children.get("extension")
        return [] if whole is None else [one for one in whole.slices if step.text in urls_of(one)]
    if step.kind == _TYPE:
        return [one for one in slot.slices if step.text in [row.get("code") for row in one.types()]] or [slot]
    return [slot]  # what is asked of the target is said with the reference


def _child(slot: Slot, name: str) -> Slot | None:
    """Return the element of that name; a choice may be written `value[x]` or with its type, `valueQuantity`."""
    found = slot.children.get(name) or slot.children.get(name + "[x]")
    if found is None:
        rows = slot.children.items()
        found = next((one for key, one in rows if key.startswith(name) and key[len(name) :][:1].isupper()), None)
    return found


def slots_at(slot: Slot, steps: Sequence[Step]) -> list[Slot]:
    """Return the elements of the profile that a path leads to."""
    found = [slot]
    for step in steps:
        found = [below for one in found for below in slots_below(one, step)]
    return found


def required_slices(slot: Slot) -> list[Slot]:
    """Return the slices of which there is always one."""
    return [one for one in slot.slices if one.definition.get("min")]


def urls_of(slot: Slot) -> tuple[str, ...]:
    """Return the urls that an extension slice takes: those of its definitions, or the fixed one."""
    url = slot.children.get("url")
    if url is not None:
        for name in ("fixedUri", "patternUri"):
            if type(url.definition.get(name)) is str:
                return (url.definition[name],)
    rows = [row.get("profile") for row in slot.types()]
    return tuple(str(one).partition("|")[0] for row in rows if type(row) is list for one in row)


def is_reachable(kind: str, path: str) -> bool:
    """Whether an element of a type may have what a discriminator's path names; what references lead to is anything."""
    steps = parsed(path)
    at = {kind}
    for step in steps or ():
        if step.kind == "resolve" or "Resource" in at:
            return True
        at = {step.text} if step.kind == "type" else _types_below(at, step)
        if not at:
            return False
    return steps is not None


def _types_below(kinds: set[str], step: Step) -> set[str]:
    name = "extension" if step.kind == "extension" else step.text
    found: set[str] = set()
    for kind in kinds:
        if kind in r4().types and name in children(kind):
            element = r4().types[kind].element(name)
            found |= {row.code for row in element.types} if element is not None else {kind}
    return found
