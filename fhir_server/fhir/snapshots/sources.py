"""The structures that a snapshot is made from: bases, data types, profiles of types, each as a tree and only once.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fhir_server.fhir.definitions.profiles import core_structure
from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.shapes import check_shape
from fhir_server.fhir.snapshots.tree import Node, tree_of

Json = dict[str, Any]
Resolve = Callable[[str], Json | None]
Grow = Callable[[Json, "Sources"], Node]

PREFIX = "http://hl7.org/fhir/StructureDefinition/"
MAX_BASES = 32
# Elements of all the differentials that one snapshot needs.
MAX_CHANGES = 10_000


class Sources:
    """Finds structures by canonical URL and returns their trees; those of FHIR itself need nobody's help."""

    def __init__(self, resolve: Resolve, grow: Grow, making: tuple[str, ...] = ()) -> None:
        self._resolve = resolve
        self._grow = grow
        self._making = making
        self._trees: dict[str, Node] = {}
        self._spent = [0]

    def spend(self, changes: int) -> None:
        """Count the elements of a differential. Raises SnapshotError when there are too many of them."""
        self._spent[0] += changes
        if self._spent[0] > MAX_CHANGES:
            raise SnapshotError(f"the differentials have more than {MAX_CHANGES} elements", code="too-costly")

    def tree(self, canonical: str, where: str = "") -> Node:
        """Return the snapshot of a structure. Raises SnapshotError when it is not known or stands on itself."""
        found = _core_tree(canonical, self._grow) or self._trees.get(canonical)
        if found is None:
            structure = self._resolve(canonical)
            if structure is None:
                raise SnapshotError(
                    f"{canonical} is not known; install the package that has it", element=where, code="not-found"
                )
            found = self._trees[canonical] = self.tree_of_structure(structure)
        return found

    def tree_of_structure(self, structure: Json) -> Node:
        """Return the snapshot that a structure is published with, or make it."""
        check_shape(structure)
        url = str(structure.get("url", ""))
        if published := structure.get("snapshot", {}).get("element"):
            return tree_of(published, url)
        return self._grow(structure, self.below(url))

    def below(self, url: str) -> Sources:
        """Return the same sources for the making of `url`, which may then not be asked for again."""
        if url in self._making:
            raise SnapshotError(f"{url} stands on itself ({' -> '.join([*self._making, url])})", code="business-rule")
        if len(self._making) >= MAX_BASES:
            raise SnapshotError(f"more than {MAX_BASES} profiles stand on each other", code="too-costly")
        sources = Sources(self._resolve, self._grow, (*self._making, url))
        sources._trees, sources._spent = self._trees, self._spent
        return sources


@lru_cache(maxsize=128)
def _core_tree(canonical: str, grow: Grow) -> Node | None:
    structure = core_structure(canonical)
    if structure is None:
        return None
    return Sources(core_structure, grow).tree_of_structure(structure)
