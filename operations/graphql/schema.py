"""What can be selected on each FHIR type, made from its definition. https://hl7.org/fhir/R4/graphql.html#fields"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, lru_cache

from fhir_server.api.definitions import Element, TypeRef, r4

ANY = "Resource"


class Kind(Enum):
    """What a field gives."""

    VALUE = auto()  # a scalar of the JSON
    OBJECT = auto()  # an element with fields of its own
    RESOURCE = auto()  # a resource inside this one, whose type it says itself
    TARGET = auto()  # the resource that a Reference refers to
    READ = auto()  # one resource by its id
    LIST = auto()  # the resources a search finds
    CONNECTION = auto()  # one page of them, with what there is to say of the search
    TYPE_NAME = auto()  # the GraphQL type of the object


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type. `targets` are the resource types a reference may have, none for any."""

    name: str
    kind: Kind
    type: str
    repeats: bool = False
    targets: tuple[str, ...] = ()


_TYPE_NAME = Field("__typename", Kind.TYPE_NAME, "string")
_ENDINGS = {"List": Kind.LIST, "Connection": Kind.CONNECTION}


def field_of(type_name: str, name: str) -> Field | None:
    """Return the field of a data type, backbone element or resource, or None."""
    found = _fields(type_name).get(name)
    if found is None and name == "__typename":
        return _TYPE_NAME
    if found is None and _is_resource(type_name):
        return _search_field(name)
    return found


def root_field(name: str) -> Field | None:
    """Return the field of the whole system, or None: `Patient`, `PatientList` or `PatientConnection`."""
    if name in r4().resource_types:
        return Field(name, Kind.READ, name)
    return Field("__typename", Kind.TYPE_NAME, "Query") if name == "__typename" else _search_field(name)


def _search_field(name: str) -> Field | None:
    for ending, kind in _ENDINGS.items():
        of_type = name.removesuffix(ending)
        if of_type != name and of_type in r4().resource_types:
            return Field(name, kind, of_type, repeats=kind is Kind.LIST)
    return None


def graphql_name(type_name: str) -> str:
    """Return a type's name in GraphQL, which has no dots: `Patient.contact` is PatientContact."""
    return "".join(part[:1].upper() + part[1:] for part in type_name.split(".")) if "." in type_name else type_name


@lru_cache(maxsize=1)
def type_names() -> Mapping[str, str]:
    """Return the names of all FHIR types by those they have in GraphQL."""
    return {graphql_name(name): name for name, kind in r4().types.items() if kind.kind != "primitive"}


def is_a(type_name: str, other: str) -> bool:
    """Whether a type is another, or made from it."""
    return other in r4().ancestors(type_name)


def _is_resource(type_name: str) -> bool:
    definition = r4().types.get(type_name)
    return definition is not None and definition.kind == "resource"


@cache  # no more entries than FHIR has types
def _fields(type_name: str) -> Mapping[str, Field]:
    if type_name not in r4().types:
        return _page_fields(type_name)
    definition = r4().types[type_name]
    fields: dict[str, Field] = {}
    for element in definition.elements:
        for name, ref in element.json_names().items():
            if definition.kind == "primitive" and name == "value":
                continue  # the value is where the name without the underscore is
            fields[name] = _field(name, element, ref)
            if fields[name].kind is Kind.VALUE and name not in ("id", "div"):
                fields[f"_{name}"] = Field(f"_{name}", Kind.OBJECT, ref.code, element.repeats)
    if definition.kind == "resource":
        fields["resourceType"] = Field("resourceType", Kind.VALUE, "code")
    if type_name == "Reference":
        fields["resource"] = Field("resource", Kind.TARGET, ANY)
    return fields


def _page_fields(type_name: str) -> Mapping[str, Field]:
    """Return the fields of `PatientConnection` and `PatientEdge`. https://hl7.org/fhir/R4/graphql.html#searching"""
    of_type, edge = type_name.removesuffix("Connection"), type_name.removesuffix("Edge")
    if of_type == type_name:
        rows = [
            Field("mode", Kind.VALUE, "code"),
            Field("score", Kind.VALUE, "decimal"),
            Field("resource", Kind.RESOURCE, edge),
        ]
    else:
        numbers = ("count", "offset", "pageSize", "pagesize")
        rows = [Field(name, Kind.VALUE, "unsignedInt") for name in numbers]
        rows += [Field(name, Kind.VALUE, "string") for name in ("first", "previous", "next", "last")]
        rows.append(Field("edges", Kind.OBJECT, f"{of_type}Edge", repeats=True))
    return {row.name: row for row in rows}


def _field(name: str, element: Element, ref: TypeRef) -> Field:
    of_type = r4().types[ref.code]
    if of_type.kind == "primitive":
        return Field(name, Kind.VALUE, ref.code, element.repeats)
    if of_type.kind == "resource":
        return Field(name, Kind.RESOURCE, ref.code, element.repeats)
    return Field(name, Kind.OBJECT, ref.code, element.repeats, _targets(ref))


def _targets(ref: TypeRef) -> tuple[str, ...]:
    return () if ANY in ref.targets else ref.targets
