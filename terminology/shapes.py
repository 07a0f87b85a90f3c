"""The shape of what nobody has validated, sent with a request or taken from a package: who reads it must not stumble.

Only what the terminology service reads is looked at, and only its JSON types: a resource of a newer FHIR, which tools
send with their requests, may have members that R4 does not.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fhir_server.api import TooCostly, decode_stored
from terminology.failures import Broken

Json = dict[str, Any]

MAX_CODINGS = 500  # each is looked up; real ones have a handful
MAX_WORDS = 30


class _Extension(msgspec.Struct):
    url: str = ""
    extension: list[_Extension] = []


class _Extended(msgspec.Struct):
    extension: list[_Extension] = []


class _Coding(_Extended):
    system: str = ""
    version: str = ""
    code: str = ""
    display: str = ""


class _CodeableConcept(_Extended):
    coding: list[_Coding] = []


class _Designation(_Extended):
    language: str = ""
    value: str = ""
    use: _Coding = msgspec.field(default_factory=_Coding)


class _Property(msgspec.Struct):
    code: str = ""
    uri: str = ""


class _Concept(_Extended):
    code: str = ""
    display: str = ""
    definition: str = ""
    designation: list[_Designation] = []
    property: list[_Property] = []
    concept: list[_Concept] = []


class _Filter(msgspec.Struct):
    property: str = ""
    op: str = ""
    value: str = ""


class _Listed(_Extended):
    code: str = ""
    display: str = ""
    designation: list[_Designation] = []


class _Include(_Extended):
    system: str = ""
    version: str = ""
    concept: list[_Listed] = []
    filter: list[_Filter] = []
    valueSet: list[str] = []  # noqa: N815 - FHIR's own name


class _Compose(_Extended):
    include: list[_Include] = []
    exclude: list[_Include] = []


class _Contains(_Extended):
    system: str = ""
    version: str = ""
    code: str = ""
    display: str = ""
    designation: list[_Designation] = []
    contains: list[_Contains] = []


class _Expansion(_Extended):
    offset: int = 0
    total: int = 0
    contains: list[_Contains] = []


class _Resource(_Extended):
    id: str = ""
    url: str = ""
    version: str = ""
    name: str = ""
    language: str = ""
    status: str = ""


class _ValueSet(_Resource):
    compose: _Compose = msgspec.field(default_factory=_Compose)
    expansion: _Expansion = msgspec.field(default_factory=_Expansion)
    contained: list[Json] = []


class _CodeSystem(_Resource):
    content: str = ""
    supplements: str = ""
    hierarchyMeaning: str = ""  # noqa: N815 - FHIR's own name
    property: list[_Property] = []
    concept: list[_Concept] = []


class _Product(msgspec.Struct):
    property: str = ""
    system: str = ""
    value: str = ""


class _Target(msgspec.Struct):
    code: str = ""
    display: str = ""
    equivalence: str = ""
    product: list[_Product] = []


class _Element(msgspec.Struct):
    code: str = ""
    display: str = ""
    target: list[_Target] = []


class _Unmapped(msgspec.Struct):
    mode: str = ""
    code: str = ""
    display: str = ""
    url: str = ""


class _Group(msgspec.Struct):
    source: str = ""
    target: str = ""
    element: list[_Element] = []
    unmapped: _Unmapped = msgspec.field(default_factory=_Unmapped)


class _ConceptMap(_Resource):
    group: list[_Group] = []


_SHAPES: dict[str, Any] = {
    "ValueSet": _ValueSet,
    "CodeSystem": _CodeSystem,
    "ConceptMap": _ConceptMap,
    "Coding": _Coding,
    "CodeableConcept": _CodeableConcept,
}


def shaped(value: Any, kind: str) -> Json:
    """Return a resource or a datatype that was sent, known to have the shape that is read. Raises Broken."""
    shape = _SHAPES.get(kind)
    if shape is not None:
        try:
            msgspec.convert(value, type=shape)
        except (msgspec.ValidationError, RecursionError) as error:
            raise Broken(f"The {kind} that was sent is not well-formed: {error}", kind) from None
    made: Json = value
    if kind == "ValueSet":
        _shape_contained(made)
    return made


def codings_of(concept: Any) -> list[Json]:
    """Return the codings of a CodeableConcept that was sent. Raises Broken, and TooCostly where they are very many."""
    rows: list[Json] = shaped(concept, "CodeableConcept").get("coding", [])
    if len(rows) > MAX_CODINGS:
        raise TooCostly(f"A CodeableConcept may be asked about with {MAX_CODINGS} codings; this one has {len(rows)}.")
    return rows


def check_words(text: str, where: str) -> None:
    """Raise TooCostly where a text to be looked for has more words than anybody means, each of them looked for."""
    count = len(text.split())
    if count > MAX_WORDS:
        raise TooCostly(f"{where} may have {MAX_WORDS} words; this has {count}.")


def decoded(raw: bytes, kind: str) -> Json:
    """Return a resource of this server, known to have the shape that is read. Raises Broken.

    What was written has been validated, but a package is taken as it was published.
    """
    made: Json = decode_stored(raw)
    try:
        msgspec.json.decode(raw, type=_SHAPES[kind])
    except (msgspec.ValidationError, RecursionError) as error:
        url = str(made.get("url", ""))[:200]
        text = f"The {kind} {url} is not well-formed: {error}. Correct it, or remove the package that it came with."
        raise Broken(text, kind) from None
    if kind == "ValueSet":
        _shape_contained(made)
    return made


def _shape_contained(value_set: Json) -> None:
    for inner in value_set.get("contained", ()):
        if inner.get("resourceType") == "ValueSet":
            shaped({k: v for k, v in inner.items() if k != "contained"}, "ValueSet")
