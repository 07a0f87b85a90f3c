"""Type names: what they resolve to, what is a kind of what, and how FHIR's primitives become System types.

https://hl7.org/fhirpath/N1/#models, https://hl7.org/fhir/R4/fhirpath.html#types
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.errors import FhirPathSemanticError
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    Node,
    Quantity,
)

_PRIMITIVES = {
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "positiveInt": INTEGER,
    "unsignedInt": INTEGER,
    "decimal": DECIMAL,
    "date": DATE,
    "dateTime": DATETIME,
    "instant": DATETIME,
    "time": TIME,
}
_SYSTEM = frozenset({BOOLEAN, STRING, INTEGER, DECIMAL, DATE, DATETIME, TIME, QUANTITY})


@lru_cache(maxsize=1)
def system_types() -> dict[str, str]:
    """Return {type name: the System type its values are converted to}; other complex types are not in it."""
    types = {name: name for name in _SYSTEM}
    for name, definition in r4().types.items():
        if definition.kind == "primitive":
            types[name] = _PRIMITIVES.get(name, STRING)
        elif "Quantity" in r4().ancestors(name):
            types[name] = QUANTITY
    return types


def system_type(node: Node) -> str | None:
    """Return the System type of a node; None for other complex types, and for a value that is not of its type."""
    kind = system_types().get(node.type)
    return kind if kind is not None and type(node.value) in _HELD[kind] else None


_HELD: dict[str, tuple[type, ...]] = {
    BOOLEAN: (bool,),
    STRING: (str,),
    INTEGER: (int,),
    DECIMAL: (Decimal, int),
    DATE: (str,),
    DATETIME: (str,),
    TIME: (str,),
    QUANTITY: (Quantity, dict),
}


class TypeSpecifier:
    """A resolved type name: `accepts` says whether a node type is one, `is_exactly` is what `as` and `ofType` ask.

    An unqualified name is FHIR's if FHIR has it, else System's; `Quantity` is both. An abstract FHIR type is accepted
    by `as` and `ofType` for everything derived from it, a concrete one only for itself: a `code` is not
    `ofType(string)`. A System type is accepted by them for the FHIR primitives that convert to it.
    """

    __slots__ = ("_exact", "_kinds", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        namespace, _, local = name.rpartition(".")
        if name in r4().types or namespace == "FHIR":
            namespace, local = "FHIR" if namespace else "", name.removeprefix("FHIR.")
        fhir = r4().types.get(local) if namespace in ("", "FHIR") else None
        system = f"System.{local}" if namespace in ("", "System") else ""
        if fhir is None and system not in _SYSTEM and namespace != "System":
            raise FhirPathSemanticError(f"there is no type {name}")
        self._kinds = {system} & _SYSTEM
        self._exact = set(self._kinds)
        if fhir is not None:
            self._kinds |= _descendants(local)
            self._exact |= _descendants(local) if fhir.abstract else {local}
        elif system != QUANTITY:
            self._exact |= {own for own, kind in system_types().items() if kind == system}

    def accepts(self, type_name: str) -> bool:
        """Whether a node of this type `is` of the specified one."""
        return type_name in self._kinds

    def is_exactly(self, type_name: str) -> bool:
        """Whether `as` and `ofType` keep a node of this type."""
        return type_name in self._exact

    @property
    def exact(self) -> frozenset[str]:
        """The types that `as` and `ofType` keep."""
        return frozenset(self._exact)


@lru_cache(maxsize=512)
def specifier(name: str) -> TypeSpecifier:
    """Return the type a name stands for. Raises FhirPathSemanticError if there is none."""
    return TypeSpecifier(name)


@lru_cache(maxsize=512)
def _descendants(name: str) -> frozenset[str]:
    return frozenset(own for own in r4().types if name in r4().ancestors(own))


def is_type_name(name: str) -> bool:
    """Whether an expression may start with this name to say what it is about: `Patient.name`."""
    return name[:1].isupper() and name in r4().types
