"""A differential laid on the snapshot of its base. https://hl7.org/fhir/R4/profiling.html#snapshot

Where the specification leaves it open this does what the tool of the publishers does: a new slice starts from what the
base says of the unsliced element, not from what the same differential says of it; a slice of a slice starts from that
slice; slices of extensions and of types need no declared slicing; `valueQuantity` means the slice of that type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.fhir.snapshots.choices import BY_TYPE, close_choice, codes_of, is_renamed, type_in_name
from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.merging import merged
from fhir_server.fhir.snapshots.sources import PREFIX, Sources
from fhir_server.fhir.snapshots.steps import Step, steps_of
from fhir_server.fhir.snapshots.tree import Node

Json = dict[str, Any]

MAX_ELEMENTS = 20_000
MAX_SLICES = 1_000
BY_URL: Json = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}


class Differential:
    """The elements that a profile changes, and the tree they change."""

    def __init__(self, root: Node, sources: Sources, url: str) -> None:
        self._root = root
        self._sources = sources
        self._url = url
        self._named: dict[tuple[Step, ...], set[str]] = {}
        self._choices: list[tuple[Node, Node, str]] = []

    def apply(self, elements: Sequence[Json]) -> None:
        """Lay the elements on the tree, in their order. Raises SnapshotError."""
        self._sources.spend(len(elements))
        ways: list[tuple[Step, ...]] = []
        for element in elements:
            way = steps_of(element, ways[-1] if ways else ())
            ways.append(way)
            self._named.setdefault(way[:-1], set()).add(way[-1].name)
        for element, way in zip(elements, ways, strict=True):
            self._apply_one(element, way)
        for parent, node, where in self._choices:
            close_choice(parent, node, where)

    def _apply_one(self, element: Json, way: tuple[Step, ...]) -> None:
        where = str(element.get("id") or element["path"])
        if way[0].name != self._root.name:
            raise SnapshotError(f"starts with another type than the base, {self._root.name}", element=where)
        chain = [self._root]
        for index, step in enumerate(way[1:], 1):
            chain.append(self._child(chain, step, self._named.get(way[:index], set()), where))
        node = chain[-1]
        _check_slicing(node, element, where)
        if element.get("sliceIsConstraining") and (node.origin or node).slice != node.slice:
            raise SnapshotError(f"constrains slice {node.slice}, which the base has not", element=where)
        if "constraint" in element:
            element = element | {"constraint": [{"source": self._url, **row} for row in element["constraint"]]}
        node.facts = merged(node.facts, element, where)
        if node.is_choice and node.slice:
            self._choices.append((chain[-2], node, where))

    def _child(self, chain: list[Node], step: Step, named: set[str], where: str) -> Node:
        """Return the child that a step names, opening its parent and adding a slice as needed."""
        parent = chain[-1]
        self._open(parent, where)
        siblings = parent.opened()
        for node in siblings:
            if node.name == step.name and not node.slice:
                return self._slice(node, siblings, step.slice, where) if step.slice else node
        for node in siblings:
            if not node.slice and (code := type_in_name(node, step.name)):
                alone = sum(bool(type_in_name(node, name)) for name in named) <= 1
                return self._typed(siblings, node, step, code, alone and _is_narrow_place(chain), where)
            if not node.slice and step.name.endswith("[x]") and is_renamed(node, step.name):
                return self._slice(node, siblings, step.slice, where) if step.slice else node
        known = ", ".join(node.name for node in siblings if not node.slice) or "none"
        if len(parent.types) > 1:
            known += f" whatever its type is; name one of its {len(parent.types)} types to go further"
        text = f"{step.name} is no element of {parent.name}, which has {known}"
        raise SnapshotError(text, element=where, code="not-found")

    def _open(self, node: Node, where: str) -> None:
        """Give an element the children of its type, where the differential is the first to go into it."""
        if node.content():
            return
        if reference := node.facts.get("contentReference"):
            target = self._referred(reference, where)
            kept = {name: value for name, value in node.facts.items() if name != "contentReference"}
            node.facts = kept | {"type": target.types}
            source = target
        else:
            source = self._sources.tree(_structure_of(node, where), where)
        node.children = [child.copy() for child in source.content()]

    def _referred(self, reference: str, where: str) -> Node:
        """Return the element that a content reference names, in the structure it names or as the base has it."""
        canonical, _, identity = reference.rpartition("#")
        node = self._sources.tree(canonical, where) if canonical else self._root.origin or self._root
        for part in identity.split(".")[1:]:
            found = next((child for child in node.content() if child.step() == part), None)
            if found is None:
                raise SnapshotError(f"contentReference {reference} names no element", element=where)
            node = found
        return node

    def _typed(self, siblings: list[Node], node: Node, step: Step, code: str, narrow: bool, where: str) -> Node:
        """Return what `valueQuantity` means: the slice of that type, or the element where it has but that type."""
        slices = node.slices(siblings)
        known = [s for s in slices if s.slice == step.slice or (not step.slice and codes_of(s) == {code})]
        if known:
            return known[0]
        free = not step.slice and not slices and "slicing" not in node.facts
        if free and (codes_of(node) == {code} or narrow):
            node.facts = merged(node.facts, {"type": [t for t in node.types if t.get("code") == code]}, where)
            return node
        return self._slice(node, siblings, step.slice or step.name, where, code)

    def _slice(self, node: Node, siblings: list[Node], name: str, where: str, code: str = "") -> Node:
        """Return a slice of an element, a new one where the base has none of that name."""
        slices = node.slices(siblings)
        if found := next((s for s in slices if s.slice == name), None):
            return found
        if len(slices) >= MAX_SLICES:
            raise SnapshotError(f"is sliced more than {MAX_SLICES} times", element=where, code="too-costly")
        outer = [s for s in slices if name.startswith(s.slice + "/")]
        sliced = max(outer, key=lambda s: len(s.slice), default=node)
        slicing = sliced.facts.get("slicing") or _implied_slicing(node, sliced)
        if slicing is None:
            raise SnapshotError(
                f"slice {name} has no slicing to stand in; say on {sliced.step()} by what it is sliced", element=where
            )
        if slicing.get("rules") == "closed" and "slicing" in (sliced.origin.facts if sliced.origin else {}):
            raise SnapshotError(f"slice {name} is new, and the base closes the slicing", element=where)
        sliced.facts = {"slicing": slicing, **sliced.facts}
        added = sliced.copy() if sliced.slice else (node.origin or node).copy()
        added.slice = name
        added.facts = {key: value for key, value in added.facts.items() if key != "slicing"} | {"min": 0}
        code = code or type_in_name(node, name)
        if node.is_choice and code:
            added.facts["type"] = [t for t in node.types if t.get("code") == code]
        siblings.insert(_after(siblings, sliced, node), added)
        return added


def _structure_of(node: Node, where: str) -> str:
    """Return the canonical URL of what an element's children are defined by."""
    if len(node.types) != 1:
        return PREFIX + "Element"
    row = node.types[0]
    profiles = row.get("profile", [])
    if len(profiles) == 1:
        return str(profiles[0])
    code = str(row.get("code", ""))
    if code.startswith("http://hl7.org/fhirpath/"):
        raise SnapshotError(f"{node.name} is a value without elements of its own", element=where)
    return code if "/" in code else PREFIX + code


def _is_narrow_place(chain: list[Node]) -> bool:
    """Whether a type in a name narrows the element itself: below a slice that is no extension."""
    return any(node.slice for node in chain) and codes_of(chain[-1]) != {"Extension"}


def _implied_slicing(node: Node, sliced: Node) -> Json | None:
    """Return how an element, or a slice of it, is sliced where nothing is said of it."""
    if sliced is not node and "slicing" in node.facts:
        return {**node.facts["slicing"], "rules": "open"}
    if node.is_choice:
        return BY_TYPE
    return BY_URL if codes_of(node) == {"Extension"} else None


def _after(siblings: list[Node], sliced: Node, node: Node) -> int:
    """Return the place after an element, its slices and theirs."""
    last = siblings.index(sliced)
    for index in range(last + 1, len(siblings)):
        other = siblings[index]
        if other.name == node.name and (sliced is node or other.slice.startswith(sliced.slice + "/")):
            last = index
    return last + 1


def _check_slicing(node: Node, element: Json, where: str) -> None:
    single = len(node.types) == 1 and not codes_of(node) & {"Reference", "Resource", "canonical"}
    if "slicing" in element and single and not node.is_choice and (node.origin or node).facts.get("max") in ("0", "1"):
        raise SnapshotError("is sliced, but it neither repeats nor has a choice of types", element=where)
