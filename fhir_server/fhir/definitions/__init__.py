"""The definitions of FHIR R4 as compact tables: types, search parameters, compartments, operations, code lists.

https://hl7.org/fhir/R4/structuredefinition.html. The tables are made by tools/compile_definitions.py.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

FHIR_VERSION = "4.0.1"

_T = TypeVar("_T")


class TypeRef(msgspec.Struct, array_like=True, frozen=True):
    """One allowed type of an element; `targets` are the resource types a Reference or canonical may point to."""

    code: str
    targets: tuple[str, ...]


class Constraint(msgspec.Struct, array_like=True, frozen=True):
    """An invariant: its key (`obs-6`), severity (`error` or `warning`) and FHIRPath expression."""

    key: str
    severity: str
    expression: str


class Element(msgspec.Struct, array_like=True, frozen=True):
    """One element of a type. `max` 0 means unbounded; `choice` elements appear as name + type (`valueQuantity`).

    A backbone element's only type is its own path (`Observation.component`); a content reference's only type is the
    path it refers to (`Observation.referenceRange`). `binding` is empty or (strength, value set url).
    """

    name: str
    min: int
    max: int
    types: tuple[TypeRef, ...]
    choice: bool
    summary: bool
    modifier: bool
    binding: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    @property
    def repeats(self) -> bool:
        """Whether JSON writes this element as an array."""
        return self.max != 1

    def json_names(self) -> dict[str, TypeRef]:
        """Return the JSON member names this element may take, each with its type."""
        if not self.choice:
            return {self.name: self.types[0]}
        return {self.name + ref.code[0].upper() + ref.code[1:]: ref for ref in self.types}


class TypeDefinition(msgspec.Struct, array_like=True, frozen=True):
    """A type with all its elements, inherited ones included. `kind`: primitive, complex, backbone or resource."""

    kind: str
    base: str
    abstract: bool
    regex: str
    constraints: tuple[Constraint, ...]
    elements: tuple[Element, ...]

    def element(self, name: str) -> Element | None:
        """Return the element called `name` (`value` for a choice), or None."""
        return next((e for e in self.elements if e.name == name), None)


class SearchParameter(msgspec.Struct, array_like=True, frozen=True):
    """A search parameter. `components` are (definition url, expression) pairs of a composite."""

    url: str
    code: str
    type: str
    bases: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    usage: str


class Definitions:
    """What FHIR R4 says about its types; tables are decoded when first asked for."""

    @cached_property
    def types(self) -> dict[str, TypeDefinition]:
        """Every type by name; backbone elements by path."""
        return _table("types.json", dict[str, TypeDefinition])

    @cached_property
    def resource_types(self) -> frozenset[str]:
        """The concrete resource types."""
        return frozenset(n for n, t in self.types.items() if t.kind == "resource" and not t.abstract)

    @cached_property
    def search_parameters(self) -> tuple[SearchParameter, ...]:
        """Every search parameter of the core specification."""
        return _table("search_parameters.json", tuple[SearchParameter, ...])

    @cached_property
    def compartments(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """{compartment type: {resource type: search parameter codes that place it there}}."""
        return _table("compartments.json", dict[str, dict[str, tuple[str, ...]]])

    @cached_property
    def operations(self) -> tuple[dict[str, Any], ...]:
        """The OperationDefinitions of the core specification, without prose."""
        return _table("operations.json", tuple[dict[str, Any], ...])

    @cached_property
    def code_lists(self) -> dict[str, dict[str, frozenset[str]]]:
        """{value set url: {system: codes}} of the required bindings that can be enumerated."""
        return _table("code_lists.json", dict[str, dict[str, frozenset[str]]])

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the type's name and those of its bases, nearest first."""
        chain = []
        while name:
            chain.append(name)
            name = self.types[name].base if name in self.types else ""
        return tuple(chain)


@lru_cache(maxsize=1)
def r4() -> Definitions:
    """Return the one shared, immutable set of R4 definitions."""
    return Definitions()


def _table(name: str, shape: type[_T]) -> _T:
    return msgspec.json.decode((files(__name__) / name).read_bytes(), type=shape)
