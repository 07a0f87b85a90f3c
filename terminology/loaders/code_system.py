"""CodeSystem resources of any size: a JSON file, a Bundle or NDJSON, read without ever holding all of it.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir_server.api import StoredConcept, Unprocessable, encode
from terminology.codesystem import STANDARD, CodeSystem, Node
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings, broken
from terminology.loaders.json_concepts import Piece, Reading
from terminology.loaders.release import Asked, Found, Release

Json = dict[str, Any]

MAX_SYSTEMS = 100
MAX_HEAD = 1024 * 1024
_UPWARD, _DOWNWARD = ("parent", "subsumedBy"), ("child",)
_LISTS = ("designation", "property", "extension")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "valueCode": str, "valueCoding": dict, "valueString": str, "valueInteger": int, "valueBoolean": bool,
    "valueDateTime": str, "valueDecimal": (int, Decimal),
}  # fmt: skip


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the code system, where there are several the one that `asked.system` names; its parts are put together.

    Raises Unprocessable where none has that URL, or several are there and none is asked for.
    """
    name = files.one(r"[^/]*\.(json|ndjson)", "file .json or .ndjson") if files.is_archive else files.name
    heads: dict[str, Piece] = {}
    places: dict[str, set[int]] = {}
    for piece in _pieces(files, name):
        if piece.value.get("resourceType") == "CodeSystem":
            url = str(piece.value.get("url", ""))
            heads.setdefault(url, piece)
            places.setdefault(url, set()).add(piece.resource)
            if len(heads) > MAX_SYSTEMS:
                raise broken(name, piece.line, f"these are more than {MAX_SYSTEMS} code systems.")
    if not heads:
        raise Unprocessable(f"{name} has no CodeSystem.")
    wanted = asked.system if len(heads) > 1 or asked.system in heads else next(iter(heads))
    if wanted not in heads:
        urls = ", ".join(sorted(heads)[:10])
        raise Unprocessable(f"{name} has the code systems {urls}: say which in the parameter system.")
    head = _head(name, heads[wanted], asked)
    return Release(head, _concepts(files, name, frozenset(places[wanted]), head, findings))


def _head(name: str, piece: Piece, asked: Asked) -> Json:
    resource = piece.value
    if resource.get("content") == "supplement":
        raise broken(name, piece.line, "this is a supplement of another code system: store it as a resource.")
    made = {k: v for k, v in resource.items() if k not in ("text", "id", "meta", "count")}
    made["url"] = asked.system or resource.get("url", "")
    if asked.version:
        made["version"] = asked.version
    if not isinstance(made["url"], str) or not made["url"]:
        raise broken(name, piece.line, "the CodeSystem has no url: give the parameter system.")
    if len(encode(made)) > MAX_HEAD:
        raise broken(name, piece.line, f"the CodeSystem has more than {MAX_HEAD // 1024} KB without its concepts.")
    return made


def _concepts(files: Files, name: str, indexes: frozenset[int], head: Json, findings: Findings) -> Iterator[Found]:
    upward, downward = _codes(head, _UPWARD), _codes(head, _DOWNWARD)
    below: dict[str, list[str]] = {}
    if downward & {row.get("code") for row in _declared(head)}:
        for piece in _pieces(files, name, indexes):
            for child in _values(piece.value, downward):
                below.setdefault(child, []).append(str(piece.value.get("code", "")))
    system = CodeSystem(head)
    for piece in _pieces(files, name, indexes):
        wrong = _wrong(piece.value)
        if wrong:
            findings.bad(name, piece.line, wrong)
            continue
        row = piece.value
        code: str = row["code"]
        parents = [piece.parent, *_values(row, upward), *below.get(code, ())]
        properties = tuple(p for p in row.get("property", ()) if p["code"] not in upward | downward)
        node = Node(code, properties=properties)
        concept = StoredConcept(
            code,
            row.get("display", ""),
            row.get("definition", ""),
            tuple(row.get("designation", ())),
            properties,
            tuple(row.get("extension", ())),
            tuple(dict.fromkeys(one for one in parents if one and one != code)),
            system.is_inactive(node),
            system.is_abstract(node),
        )
        yield Found(name, piece.line, concept)


def _pieces(files: Files, name: str, wanted: frozenset[int] | None = None) -> Iterator[Piece]:
    with files.open(name) as file:
        yield from Reading(name, file, wanted).pieces()


def _codes(head: Json, names: tuple[str, ...]) -> frozenset[str]:
    """Return how this system calls properties of the standard: by their URI, and by their names."""
    uris = {STANDARD + name for name in names}
    return frozenset(names) | {str(row.get("code")) for row in _declared(head) if row.get("uri") in uris}


def _declared(head: Json) -> list[Json]:
    rows = head.get("property")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _values(concept: Json, codes: frozenset[str]) -> Iterator[str]:
    rows = concept.get("property")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("code") in codes and isinstance(row.get("valueCode"), str):
            yield row["valueCode"]


def _wrong(concept: Json) -> str:
    """Return why a concept cannot be kept, or nothing."""
    code = concept.get("code")
    if not isinstance(code, str) or not code.strip(" \t\r\n"):
        return "a concept without a code."
    for name in ("display", "definition"):
        if not isinstance(concept.get(name, ""), str):
            return f"the {name} of {code[:40]!r} is no text."
    for name in _LISTS:
        rows = concept.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return f"the {name} of {code[:40]!r} is no list of objects."
    if not all(map(_is_designation, concept.get("designation", ()))):
        return f"a designation of {code[:40]!r} has no value, or its language or use is wrong."
    if not all(map(_is_property, concept.get("property", ()))):
        return f"a property of {code[:40]!r} has no code, or not one value of a type that properties have."
    return ""


def _is_designation(row: Json) -> bool:
    return (
        isinstance(row.get("value"), str)
        and isinstance(row.get("language", ""), str)
        and isinstance(row.get("use", {}), dict)
    )


def _is_property(row: Json) -> bool:
    values = [(name, value) for name, value in row.items() if name.startswith("value")]
    if not isinstance(row.get("code"), str) or len(values) != 1:
        return False
    ((name, value),) = values
    kind = _TYPES.get(name)
    return kind is not None and isinstance(value, kind) and isinstance(value, bool) is (kind is bool)
