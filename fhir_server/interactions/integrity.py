"""Referential integrity: what a resource refers to on this server has to be there. https://hl7.org/fhir/R4/references.html

Only what a version refers to anew is looked up: whoever changes one element shall not answer for a target that somebody
else has deleted since. Contained, logical and foreign targets are not looked at. Between the look and the write another
may delete a target; a server that must never have that has to refuse such deletions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fhir_server.api.errors import Unprocessable
from fhir_server.api.ports import Reading
from fhir_server.api.records import Draft, Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.outcomes import Issue
from fhir_server.interactions.services import Call

CHECK = "check"
# How encode() writes a literal reference; inside a string the quotes would be escaped.
_local = re.compile(rb'"reference":"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})["/]').findall


async def check_references(call: Call, made: Draft, previous: Stored | None = None) -> None:
    """Raise Unprocessable when a draft refers to what is not there, unless the settings accept that."""
    if call.services.limits.references == CHECK:
        added = _added(call, made, previous)
        missing = await _missing(call.records, added) if added else ()
        if missing:
            raise Unprocessable(issues=_issues(call, made, missing))


async def missing_references(
    call: Call, drafts: Iterable[tuple[Draft, Stored | None]], known: Iterable[str]
) -> list[tuple[Draft, list[Issue]]]:
    """Return the drafts (each with its previous version) that refer to what is not there, with an issue for each place.

    What is `known` to be written with them counts as there. One command, however many they are.
    """
    if call.services.limits.references != CHECK:
        return []
    added = [(made, _added(call, made, previous).difference(known)) for made, previous in drafts]
    wanted = {key for _, keys in added for key in keys}
    missing = await _missing(call.records, wanted) if wanted else frozenset()
    return [(made, _issues(call, made, missing)) for made, keys in added if not missing.isdisjoint(keys)]


def _added(call: Call, made: Draft, previous: Stored | None) -> set[str]:
    keys = _targets(call, made.raw)
    keys.discard(made.key)
    return keys.difference(_targets(call, previous.raw)) if keys and previous is not None else keys


def _targets(call: Call, raw: bytes) -> set[str]:
    """Return the keys a resource refers to, relative or under the base URL."""
    found = set(_local(raw))
    absolute = f'"reference":"{call.base_url}/'.encode()
    if absolute in raw:
        found.update(_local(raw.replace(absolute, b'"reference":"')))
    return {key.decode() for key in found}


async def _missing(records: Reading, keys: Collection[str]) -> frozenset[str]:
    there = await records.read_many(list(keys))
    return frozenset(key for key in keys if key not in there or there[key].deleted)


def _issues(call: Call, made: Draft, missing: Collection[str]) -> list[Issue]:
    return [
        Issue("not-found", f"The reference leads to {key}, which is not there.", path)
        for path, literal in _places(decode_stored(made.raw), made.type)
        if (key := "/".join(literal.removeprefix(f"{call.base_url}/").split("/")[:2])) in missing
    ]


def _places(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the FHIRPath and the text of every literal reference."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield f"{path}.reference", node["reference"]
        for name, value in node.items():
            yield from _places(value, f"{path}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _places(value, f"{path}[{index}]")
