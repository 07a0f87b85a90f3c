"""Where an element of a differential stands: the names and slices from the root to it.

https://hl7.org/fhir/R4/elementdefinition.html#id. Ids say it all, but older profiles have others than the specification
asks for, or none: then an element stands below the slice that was named last on its path.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.tree import MAX_DEPTH

Json = dict[str, Any]


class Step(NamedTuple):
    """One part of the way to an element; `slice` is empty for an element that is no slice."""

    name: str
    slice: str


def steps_of(element: Json, before: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the way to an element of a differential, the root included; `before` is that of the element before it."""
    path = element["path"]
    names = path.split(".")
    if len(names) > MAX_DEPTH:
        raise SnapshotError(f"is nested deeper than {MAX_DEPTH}", element=path, code="too-costly")
    slices = _from_id(element.get("id", ""), names) or _from_before(names, before)
    slices[-1] = element.get("sliceName") or slices[-1]
    return tuple(Step(name, slice_name) for name, slice_name in zip(names, slices, strict=True))


def _from_id(identity: str, names: list[str]) -> list[str]:
    """Return the slices that an id names, or nothing where it is not made as the specification says."""
    parts = [part.partition(":") for part in identity.split(".")]
    same = len(parts) == len(names) and all(
        part[0] == name or (part[0].endswith("[x]") and name.startswith(part[0][:-3]))
        for part, name in zip(parts, names, strict=True)
    )
    return [part[2] for part in parts] if same else []


def _from_before(names: list[str], before: tuple[Step, ...]) -> list[str]:
    slices = [""] * len(names)
    for index, (name, step) in enumerate(zip(names[:-1], before, strict=False)):
        if name != step.name:
            break
        slices[index] = step.slice
    return slices
