"""A snapshot as a tree: elements below elements, slices beside them. https://hl7.org/fhir/R4/profiling.html#slicing

Path, order and slice name place an element; ids are for messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.validation.profiles.shapes import malformed

Json = dict[str, Any]


# What a snapshot says to people; kept, it would be most of a profile.
_PROSE = frozenset(
    {"alias", "base", "code", "comment", "definition", "example", "label", "mapping", "orderMeaning", "representation"}
    | {"requirements", "short", "meaningWhenMissing", "isModifierReason", "isSummary"}
)


class ProfileError(ValueError):
    """A profile that cannot be checked. `element` is the id of the element at fault; the message names it too."""

    def __init__(self, element: str, text: str) -> None:
        super().__init__(f"{element}: {text}" if element else text)
        self.element = element


class Slot:
    """One element of a snapshot with what is below it and the slices of it.

    `name` is the last step of its path (`value[x]`). A slice is not among the children of its parent: it hangs on the
    element it is a slice of, a re-slice on its slice; `whole` is that element. `named` has its slices by name, those of
    its slices too.
    """

    __slots__ = ("children", "definition", "id", "name", "named", "path", "slice_name", "slices", "whole")

    def __init__(self, definition: Json, path: str, whole: Slot | None = None) -> None:
        self.definition = {name: value for name, value in definition.items() if name not in _PROSE}
        self.path = path
        self.name = path.rpartition(".")[2]
        self.slice_name: str = definition.get("sliceName", "") if whole is not None else ""
        self.id = str(definition.get("id") or (f"{path}:{self.slice_name}" if self.slice_name else path))
        self.children: dict[str, Slot] = {}
        self.slices: list[Slot] = []
        self.named: dict[str, Slot] = {}
        self.whole = whole

    @property
    def title(self) -> str:
        """The element as messages name it: `Patient.identifier:ssn.system`."""
        return self.id

    def rows(self) -> Iterator[Slot]:
        """Yield this element and all below and beside it, in no order that matters."""
        yield self
        for child in self.children.values():
            yield from child.rows()
        for one in self.slices:
            yield from one.rows()

    def types(self) -> list[Json]:
        """Return the types that the profile lists."""
        listed: list[Json] = self.definition.get("type", [])
        return listed


def tree(snapshot: Sequence[Json]) -> Slot:
    """Return the root of a snapshot. Raises ProfileError for an element that has no place."""
    if not snapshot:
        raise ProfileError("", "The snapshot has no elements.")
    root: Slot | None = None
    open_slots: list[Slot] = []
    for row in snapshot:
        path = row.get("path") if type(row) is dict else None
        if type(path) is not str or not path:
            raise ProfileError("", "An element of the snapshot has no path.")
        if path.count(".") > MAX_DEPTH or str(row.get("sliceName", "")).count("/") > MAX_DEPTH:
            raise ProfileError(path[:100], f"It is nested deeper than {MAX_DEPTH} levels.")
        if wrong := malformed(row):
            raise ProfileError(str(row.get("id") or path), f"Its {wrong} is malformed.")
        depth = path.count(".")
        if root is None:
            root = Slot(row, path)
            open_slots = [root]
            continue
        if not 0 < depth <= len(open_slots) or open_slots[depth - 1].path != path.rpartition(".")[0]:
            raise ProfileError(str(row.get("id") or path), "The element above it is not in the snapshot before it.")
        slot = _placed(row, path, open_slots[depth - 1])
        open_slots[depth:] = [slot]
    assert root is not None  # the snapshot is not empty
    return root


def _placed(row: Json, path: str, parent: Slot) -> Slot:
    """Put an element where it belongs: below its parent, or with the element that it is a slice of."""
    name = path.rpartition(".")[2]
    slice_name: str = row.get("sliceName", "")
    whole = parent.children.get(name)
    if whole is None and slice_name:
        whole = _choice(parent, name)
        if whole is None and name.endswith("[x]"):
            whole = parent.children[name] = Slot({"path": path}, path)
    if whole is None or not slice_name:
        slot = parent.children[name] = Slot(row, path)
        return slot
    holder = _sliced(whole, slice_name)
    slot = holder.named[slice_name] = whole.named[slice_name] = Slot(row, path, holder)
    holder.slices.append(slot)
    return slot


def _choice(parent: Slot, name: str) -> Slot | None:
    """Return the choice of which older guides write a slice with the path of its type: `valueQuantity`."""
    rows = parent.children.items()
    return next((slot for key, slot in rows if key.endswith("[x]") and name.startswith(key[:-3])), None)


def _sliced(whole: Slot, slice_name: str) -> Slot:
    """Return what `a/b` is a slice of: the slice `a` where there is one, else the element itself."""
    while "/" in slice_name:
        slice_name = slice_name.rpartition("/")[0]
        if slice_name in whole.named:
            return whole.named[slice_name]
    return whole
