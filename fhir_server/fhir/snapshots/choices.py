"""Elements with a choice of types: names that hold a type, and what is left of a choice by its slices.

https://hl7.org/fhir/R4/profiling.html#slicing. Here the publishers' tools are followed, where FHIR says nothing.
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.tree import Node

Json = dict[str, Any]

BY_TYPE: Json = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
CLOSED_BY_TYPE: Json = {**BY_TYPE, "rules": "closed"}


def codes_of(node: Node) -> set[Any]:
    """Return the codes of the types that an element may have."""
    return {row.get("code") for row in node.types}


def type_in_name(node: Node, name: str) -> str:
    """Return the type that `valueQuantity` names for the element `value[x]`, or nothing."""
    stem = node.name.removesuffix("[x]")
    if not node.is_choice or not name.startswith(stem):
        return ""
    rest = name[len(stem) :]
    codes = (str(row.get("code", "")) for row in node.types)
    return next((code for code in codes if code and code[0].upper() + code[1:] == rest), "")


def is_renamed(node: Node, name: str) -> bool:
    """Whether the base writes the choice `name` with the only type it left."""
    stem = name.removesuffix("[x]")
    return any(node.name == stem + str(c)[:1].upper() + str(c)[1:] for c in codes_of(node))


def close_choice(parent: Node, node: Node, where: str) -> None:
    """Leave a choice the type of a slice that must be there, and an extension the types that its slices name.

    That holds where this differential implied the slicing: who declares one says how open it is. Raises SnapshotError
    where two types must be there at once.
    """
    siblings = parent.opened()
    choice = next(sibling for sibling in siblings if sibling.name == node.name and not sibling.slice)
    needed = [other.slice for other in choice.slices(siblings) if other.facts["min"] >= 1 and "/" not in other.slice]
    if len(needed) > 1 and choice.facts.get("max") == "1":
        text = f"has one value, and the slices {', '.join(needed)} all ask for theirs"
        raise SnapshotError(text, element=where, code="business-rule")
    implied = any(choice.facts.get("slicing") is slicing for slicing in (BY_TYPE, CLOSED_BY_TYPE))
    if not implied or (choice.origin and "slicing" in choice.origin.facts):
        return
    if node.facts["min"] >= 1:
        choice.facts = choice.facts | {"slicing": CLOSED_BY_TYPE, "type": node.types, "min": 1}
    elif "Extension" in (parent.name, *codes_of(parent)):
        named = set[Any]().union(*(codes_of(node) for node in choice.slices(siblings)))
        kept = [row for row in (choice.origin or choice).types if row.get("code") in named]
        choice.facts = choice.facts | {"slicing": CLOSED_BY_TYPE, "type": kept}
