"""Defects put into examples that conform: what a profile asks for is taken away, exchanged or added, one at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from fhir_server.fhir.definitions import Element, r4

Json = dict[str, Any]
Place = tuple[Json, list[str]]  # the object that holds an element, and the JSON names of the element that it has
Change = Callable[[Json, str], None]


def mutations(structure: Json, resource: Json) -> Iterator[tuple[str, Json]]:
    """Yield what was done and the resource with it done, for all that no optional slice is in between of."""
    for row in structure["snapshot"]["element"]:
        if ":" in row["id"] or "." not in row["path"]:
            continue
        base = _base(row["path"])
        if base is None:
            continue
        for what, change in _changes(row, base):
            for count, _ in enumerate(_places(resource, row["path"])):
                changed = copy.deepcopy(resource)
                holder, names = list(_places(changed, row["path"]))[count]
                for name in names if what != "add" else _names(base)[:1]:
                    change(holder, name)
                if changed != resource:
                    yield f"{what} {row['id']} ({count})", changed


def _changes(row: Json, base: Element) -> Iterator[tuple[str, Change]]:
    if row.get("min", 0) > base.min:
        yield "drop", lambda holder, name: holder.pop(name)
    if row.get("max") == "0":
        yield "add", _add
    for key in row:
        if key.startswith(("fixed", "pattern")):
            yield "exchange", _exchange
    for kind in row.get("type", ()):
        targets = {url.rpartition("/")[2] for url in kind.get("targetProfile", ())}
        known = {target for ref in base.types for target in ref.targets}  # what these leave out, the base does too
        if kind["code"] == "Reference" and targets - {"Resource"} and targets != known:
            yield "refer", _refer
    allowed = {kind["code"] for kind in row.get("type", ())}
    left_out = [ref.code for ref in base.types if ref.code not in allowed] if base.choice else []
    if left_out:
        yield "retype", _retype(base.name, left_out[0])


def _add(holder: Json, name: str) -> None:
    holder.setdefault(name, [{"id": "x"}])


def _exchange(holder: Json, name: str) -> None:
    value = holder[name]
    if isinstance(value, str):
        holder[name] = "another"
    elif isinstance(value, list):
        holder[name] = [{"text": "another"}]
    elif isinstance(value, dict):
        holder[name] = {"text": "another"}


def _refer(holder: Json, name: str) -> None:
    one = {"reference": "Basic/1"}
    if isinstance(holder[name], list):
        holder[name] = [one]
    elif isinstance(holder[name], dict) and holder[name].keys() & {"display", "reference"}:
        holder[name] = one


def _retype(name: str, code: str) -> Change:
    def change(holder: Json, old: str) -> None:
        del holder[old]
        holder[name + code[0].upper() + code[1:]] = "1"

    return change


def _base(path: str) -> Element | None:
    owner, *steps = path.split(".")
    element: Element | None = None
    for step in steps:
        definition = r4().types.get(owner)
        element = definition.element(step.removesuffix("[x]")) if definition is not None else None
        if element is None or (len(element.types) > 1 and step != steps[-1]):
            return None
        owner = element.types[0].code
    return element


def _names(element: Element) -> list[str]:
    return list(element.json_names())


def _places(resource: Json, path: str) -> Iterator[Place]:
    """Yield every object that has, or could have, the element of a path: those that are there to hold it."""
    holders = [resource]
    for step in path.split(".")[1:-1]:
        found = [row[step] for row in holders if step in row]
        holders = [one for row in found for one in (row if isinstance(row, list) else [row]) if isinstance(one, dict)]
    base = _base(path)
    names = [key for name in (_names(base) if base else ()) for key in (name, "_" + name)]
    for holder in holders:
        yield holder, [name for name in names if name in holder]
