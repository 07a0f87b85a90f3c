"""Resources inside resources: which type it is, what contained ones may not have, and where `#id` leads.

https://hl7.org/fhir/R4/references.html#contained
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.validation.contained import unused_of
from fhir_server.validation.findings import (
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
    wrong_kind,
)
from fhir_server.validation.invariants import constrained

_NOT_IN_CONTAINED_META = ("versionId", "lastUpdated", "security")
_NOTHING: Held = {}


def resource_of(checker_of: Callable[[str], Checker | None], known: frozenset[str]) -> Checker:
    """Return the checker of any resource, by its resourceType."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not dict:
            return wrong_kind("a resource", item)
        name = item.get("resourceType")
        checker = checker_of(name) if type(name) is str else None
        return _no_type(item, known) if checker is None else checker(item, parent, depth, held)

    return check


def contained_of(one: Checker) -> Checker:
    """Return the checker of `contained`; `one` checks a resource that holds nothing itself."""

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not list:
            return wrong_kind("an array", item)
        if not item:
            return refuse("structure", "An array must not be empty; leave the member out.")
        found: Findings | None = None
        ids: set[Any] = set()
        for index, value in enumerate(item):
            for problems in (one(value, parent, depth + 1, held), _contained_rules(value, ids)):
                if problems is not None:
                    found = below(f"[{index}]", problems, found)
            if found is not None and is_full(found):
                break
        return found

    return check


def container_of(one: Checker, rules: list[Rule]) -> Checker:
    """Return the checker of a resource that stands on its own: `#id` leads to the resources it contains.

    `rules` are those that contained resources need not keep.
    """

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if "contained" not in item:
            return one(item, parent, depth, _NOTHING)
        found = one(item, parent, depth, _held(item))
        if found is None:
            return unused_of(item)
        is_wrong = any(finding.severity == "error" for finding in found)
        return found if is_wrong else [*found, *(unused_of(item) or ())]  # a wrong reference refers to nothing

    return constrained(check, rules) if rules else check


def _held(resource: Json) -> Held:
    """Return {id: type} of the contained resources, whatever state they are in: each is checked in its own place."""
    contained = resource["contained"]
    rows = [row for row in contained if type(row) is dict] if type(contained) is list else []
    held = {row["id"]: str(row.get("resourceType")) for row in rows if type(row.get("id")) is str}
    return held | {"": resource["resourceType"]}


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
