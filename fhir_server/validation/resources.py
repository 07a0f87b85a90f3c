"""Resources inside resources: which type it is, what contained ones may not have, and where `#id` leads.

https://hl7.org/fhir/R4/references.html#contained
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.validation.findings import (
    Checker,
    Finding,
    Findings,
    Json,
    JsonValue,
    LocalReference,
    below,
    did_you_mean,
    is_full,
    refuse,
    shown,
    wrong_kind,
)
from fhir_server.validation.references import wrong_type

_NOT_IN_CONTAINED_META = ("versionId", "lastUpdated", "security")


def resource_of(checker_of: Callable[[str], Checker | None], known: frozenset[str]) -> Checker:
    """Return the checker of any resource, by its resourceType."""

    def check(item: JsonValue, parent: Json, depth: int) -> Findings | None:
        if type(item) is not dict:
            return wrong_kind("a resource", item)
        name = item.get("resourceType")
        checker = checker_of(name) if type(name) is str else None
        return _no_type(item, known) if checker is None else checker(item, parent, depth)

    return check


def contained_of(one: Checker) -> Checker:
    """Return the checker of `contained`; `one` checks a resource and leaves its local references open."""

    def check(item: JsonValue, parent: Json, depth: int) -> Findings | None:
        if type(item) is not list:
            return wrong_kind("an array", item)
        if not item:
            return refuse("structure", "An array must not be empty; leave the member out.")
        found: Findings | None = None
        ids: set[Any] = set()
        for index, value in enumerate(item):
            for problems in (one(value, parent, depth + 1), _contained_rules(value, ids)):
                if problems is not None:
                    found = below(f"[{index}]", problems, found)
            if is_full(found):
                break
        return found

    return check


def container_of(one: Checker) -> Checker:
    """Return the checker of a resource that stands on its own: its local references must end in `contained`."""

    def check(item: JsonValue, parent: Json, depth: int) -> Findings | None:
        found = one(item, parent, depth)
        return found if found is None else _resolve(found, item)

    return check


def _resolve(found: Findings, resource: Json) -> Findings | None:
    held = _held(resource)
    rest: Findings = []
    for finding in found:
        if isinstance(finding, LocalReference):
            rest += _unresolved(finding, held)
        else:
            rest.append(finding)
    return rest or None


def _held(resource: Json) -> dict[Any, Any]:
    """Return {id: type} of the contained resources, whatever state they are in."""
    contained = resource.get("contained") if type(resource) is dict else None
    rows = [row for row in contained if type(row) is dict] if type(contained) is list else []
    return {row["id"]: row.get("resourceType") for row in rows if type(row.get("id")) is str}


def _unresolved(reference: LocalReference, held: dict[Any, Any]) -> Findings:
    if not reference.id and reference.path.startswith(".contained["):
        return []  # "#" alone leads from a contained resource to the one that holds it
    if reference.id not in held:
        return [Finding(reference.code, reference.text, reference.path)]
    kind = held[reference.id]
    if reference.targets and type(kind) is str and kind not in reference.targets:
        return [Finding("value", f"{wrong_type(shown(kind), reference.targets)}.", reference.path)]
    return []


def _contained_rules(value: JsonValue, ids: set[Any]) -> Findings | None:
    if type(value) is not dict:
        return None
    found: Findings | None = None
    if "contained" in value:
        found = below(".contained", refuse("invalid", "A contained resource must not contain others."), found)
    meta = value.get("meta")
    for name in _NOT_IN_CONTAINED_META:
        if type(meta) is dict and name in meta:
            found = below(f".meta.{name}", refuse("invalid", f"A contained resource has no meta.{name}."), found)
    own = value.get("id")
    if own is None:
        return below(".id", refuse("required", "A contained resource needs an id to be referred to."), found)
    if type(own) is str and own in ids:
        found = below(".id", refuse("invalid", "Another contained resource has the same id."), found)
    if type(own) is str:
        ids.add(own)
    return found


def _no_type(item: Json, known: frozenset[str]) -> Findings:
    if not item:
        return refuse("structure", "An object must not be empty; leave the member out.")
    name = item.get("resourceType")
    if name is None:
        return refuse("structure", "A resource says what it is in resourceType, which is missing.")
    if type(name) is not str:
        return refuse("structure", "resourceType is a string.")
    return refuse("structure", f"There is no resource type {shown(name)}.{did_you_mean(name, known)}")
