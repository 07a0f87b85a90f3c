"""CodeSystem resources of any size: a JSON file, a Bundle or NDJSON, read without ever holding all of it.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.api import StoredConcept, Unprocessable
from terminology.codesystem import STANDARD, CodeSystem, Node
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings, broken
from terminology.loaders.json_concepts import Piece, Reading
from terminology.loaders.release import Asked, Found, Release

Json = dict[str, Any]

_UPWARD, _DOWNWARD = ("parent", "subsumedBy"), ("child",)


_LISTS = ("designation", "property", "extension")


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the code system, where there are several the one that `asked.system` names; its parts are put together.

    Raises Unprocessable where none has that URL, or several are there and none is asked for.
    """
    name = files.one(r"[^/]*\.(json|ndjson)", "file .json or .ndjson") if files.is_archive else files.name
    heads = [piece for piece in _pieces(files, name) if piece.value.get("resourceType") == "CodeSystem"]
    urls = sorted({str(piece.value.get("url", "")) for piece in heads})
    wanted = asked.system if len(urls) > 1 or asked.system in urls else next(iter(urls), "")
    chosen = [piece for piece in heads if piece.value.get("url", "") == wanted]
    if not heads:
        raise Unprocessable(f"{name} has no CodeSystem.")
    if not chosen:
        raise Unprocessable(f"{name} has the code systems {', '.join(urls[:10])}: say which in the parameter system.")
    head = _head(name, chosen[0], asked)
    indexes = frozenset(piece.resource for piece in chosen)
    return Release(head, _concepts(files, name, indexes, head, findings))


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
    return made


def _concepts(files: Files, name: str, indexes: frozenset[int], head: Json, findings: Findings) -> Iterator[Found]:
    upward, downward = _codes(head, _UPWARD), _codes(head, _DOWNWARD)
    below: dict[str, list[str]] = {}
    if downward & _declared(head):
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
    rows = [row for row in head.get("property", ()) if isinstance(row, dict)]
    uris = {STANDARD + name for name in names}
    return frozenset(names) | {str(row.get("code")) for row in rows if row.get("uri") in uris}


def _declared(head: Json) -> frozenset[str]:
    return frozenset(str(row.get("code")) for row in head.get("property", ()) if isinstance(row, dict))


def _values(concept: Json, codes: frozenset[str]) -> Iterator[str]:
    for row in concept.get("property") or ():
        if isinstance(row, dict) and row.get("code") in codes and isinstance(row.get("valueCode"), str):
            yield row["valueCode"]


def _wrong(concept: Json) -> str:
    """Return why a concept cannot be kept, or nothing."""
    if not isinstance(concept.get("code"), str) or not concept["code"].strip():
        return "a concept without a code."
    for name in ("display", "definition"):
        if not isinstance(concept.get(name, ""), str):
            return f"the {name} of {concept['code'][:40]!r} is no text."
    for name in _LISTS:
        rows = concept.get(name, ())
        if not isinstance(rows, list | tuple) or not all(isinstance(row, dict) for row in rows):
            return f"the {name} of {concept['code'][:40]!r} is no list of objects."
    if not all(isinstance(row.get("code"), str) for row in concept.get("property", ())):
        return f"a property of {concept['code'][:40]!r} has no code."
    return ""
