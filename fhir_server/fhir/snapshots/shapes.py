"""What an element definition must look like before anything is made of it. https://hl7.org/fhir/R4/elementdefinition.html"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from fhir_server.fhir.snapshots.errors import SnapshotError

Json = dict[str, Any]


class _Type(msgspec.Struct):
    code: str
    profile: list[str] = []
    targetProfile: list[str] = []  # noqa: N815  FHIR's name


class _Constraint(msgspec.Struct):
    key: str


class _Extension(msgspec.Struct):
    url: str


class _Discriminator(msgspec.Struct):
    type: str
    path: str


class _Slicing(msgspec.Struct):
    rules: str
    discriminator: list[_Discriminator] = []


class _Binding(msgspec.Struct):
    strength: str
    extension: list[_Extension] = []


class _Base(msgspec.Struct):
    path: str


class _Element(msgspec.Struct):
    path: str
    id: str = ""
    sliceName: str = ""  # noqa: N815
    sliceIsConstraining: bool = False  # noqa: N815
    slicing: _Slicing | UnsetType = UNSET
    base: _Base | UnsetType = UNSET
    min: int = 0
    max: str = "*"
    type: list[_Type] = []
    contentReference: str = ""  # noqa: N815
    constraint: list[_Constraint] = []
    condition: list[str] = []
    mapping: list[Json] = []
    extension: list[_Extension] = []
    binding: _Binding | UnsetType = UNSET
    mustSupport: bool = False  # noqa: N815
    isModifier: bool = False  # noqa: N815


class _View(msgspec.Struct):
    element: list[_Element] = []


class _Structure(msgspec.Struct):
    url: str = ""
    type: str = ""
    baseDefinition: str = ""  # noqa: N815
    snapshot: _View | UnsetType = UNSET
    differential: _View | UnsetType = UNSET


def check_shape(structure: Json) -> None:
    """Raise SnapshotError where what snapshots are made from is not of the type that FHIR gives it."""
    try:
        msgspec.convert(structure, _Structure)
    except msgspec.ValidationError as error:
        raise SnapshotError(f"the StructureDefinition is malformed: {error}", code="structure") from None
