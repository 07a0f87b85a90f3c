"""References: their literal forms, and rewriting all of a resource's in one walk. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
# Members whose text may be a link to a Bundle entry (transaction.html: Reference, uri, url, oid, uuid and narrative).
_LINK_STARTS = ("urn:uuid:", "urn:oid:", "http://", "https://")


def is_id(text: str) -> bool:
    """Whether the text is a logical id."""
    return ID.fullmatch(text) is not None


def local_reference(text: str) -> tuple[str, str, str] | None:
    """Return (type, id, version or '') of a relative literal reference, or None."""
    found = LOCAL.fullmatch(text)
    return (found[1], found[2], found[3] or "") if found else None


def references(node: Any) -> Iterator[tuple[Json, str]]:
    """Yield every element with a literal reference, and the literal, contained resources included."""
    if type(node) is dict:
        literal = node.get("reference")
        if type(literal) is str:
            yield node, literal
        for value in node.values():
            if type(value) is dict or type(value) is list:
                yield from references(value)
    elif type(node) is list:
        for value in node:
            if type(value) is dict or type(value) is list:
                yield from references(value)


def rewrite(node: Any, change: Callable[[str], str | None]) -> Any:
    """Return the resource with its links changed: `change` gets the text of each and returns another, or None.

    Links are the literals of References and every uri-like text that names a Bundle entry; nothing else is touched,
    and parts without a change are the same objects as before. https://hl7.org/fhir/R4/http.html#trules
    """
    if type(node) is dict:
        changed: Json | None = None
        for name, value in node.items():
            kind = type(value)
            if kind is str:
                new = change(value) if name == "reference" or value.startswith(_LINK_STARTS) else None
            elif kind is dict or kind is list:
                new = rewrite(value, change)
                new = None if new is value else new
            else:
                continue
            if new is not None:
                if changed is None:
                    changed = dict(node)
                changed[name] = new
        return node if changed is None else changed
    copy: list[Any] | None = None
    for position, value in enumerate(node):
        kind = type(value)
        if kind is str:
            new = change(value) if value.startswith(_LINK_STARTS) else None
        elif kind is dict or kind is list:
            new = rewrite(value, change)
            new = None if new is value else new
        else:
            continue
        if new is not None:
            if copy is None:
                copy = list(node)
            copy[position] = new
    return node if copy is None else copy
