"""The elements of a snapshot as a tree: slices stand after the element that they slice, children below their own slice.

https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.fhir.snapshots.errors import SnapshotError

Json = dict[str, Any]

MAX_DEPTH = 40
PLACE = frozenset({"id", "path", "sliceName"})


class Node:
    """One element: `name` is the last part of its path, `slice` its slice name or empty, `facts` all the rest.

    A node of a base is never changed. A copy of it opens its children when they are first asked for, and knows by
    `origin` what the base says.
    """

    __slots__ = ("children", "facts", "name", "origin", "slice")

    def __init__(self, name: str, slice_name: str, facts: Json, origin: Node | None = None) -> None:
        self.name = name
        self.slice = slice_name
        self.facts = facts
        self.origin = origin
        self.children: list[Node] | None = None if origin else []

    def copy(self) -> Node:
        """Return a node that may be changed, as yet the same."""
        return Node(self.name, self.slice, self.facts, self)

    def opened(self) -> list[Node]:
        """Return the children of a copy, to be changed."""
        if self.children is None:
            self.children = [child.copy() for child in self.origin.content()] if self.origin else []
        return self.children

    def content(self) -> Sequence[Node]:
        """Return the children, to be read."""
        if self.children is None:
            return self.origin.content() if self.origin else ()
        return self.children

    @property
    def types(self) -> list[Json]:
        """The types that the element may have."""
        found: list[Json] = self.facts.get("type", [])
        return found

    @property
    def is_choice(self) -> bool:
        """Whether the element has its type in its name."""
        return self.name.endswith("[x]")

    def slices(self, siblings: Sequence[Node]) -> list[Node]:
        """Return the slices of this element among its siblings."""
        return [node for node in siblings if node.name == self.name and node.slice]

    def step(self) -> str:
        """Return the part of an element id that stands for this node."""
        return f"{self.name}:{self.slice}" if self.slice else self.name


def tree_of(elements: Sequence[Json], where: str) -> Node:
    """Return the root of a snapshot's elements. Raises SnapshotError where an element has no parent before it."""
    stack: list[Node] = []
    for element in elements:
        path = element["path"]
        parts = path.split(".")
        depth = len(parts) - 1
        if depth > MAX_DEPTH:
            raise SnapshotError(f"the snapshot of {where} is nested deeper than {MAX_DEPTH}", element=path)
        if depth > len(stack) or (depth == 0) != (not stack):
            raise SnapshotError(f"stands in the snapshot of {where} without its parent before it", element=path)
        facts = {name: value for name, value in element.items() if name not in PLACE}
        facts.setdefault("base", {"path": path, "min": facts.get("min", 0), "max": facts.get("max", "*")})
        node = Node(parts[-1], element.get("sliceName", ""), facts)
        del stack[depth:]
        if stack:
            stack[-1].opened().append(node)
        stack.append(node)
    if not stack:
        raise SnapshotError(f"the snapshot of {where} is empty; publish it with its elements, or without a snapshot")
    return stack[0]


def elements_of(root: Node) -> Iterator[Json]:
    """Give the element definitions of a tree in the order of a snapshot, with their ids and paths."""
    yield from _elements(root, root.step(), root.name)


def _elements(node: Node, identity: str, path: str) -> Iterator[Json]:
    place: Json = {"id": identity, "path": path}
    if node.slice:
        place["sliceName"] = node.slice
    yield place | node.facts
    for child in node.content():
        yield from _elements(child, f"{identity}.{child.step()}", f"{path}.{child.name}")
