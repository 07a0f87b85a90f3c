"""What the specification says of data types in words only, and no invariant asks for.

https://hl7.org/fhir/R4/datatypes.html. $validate finds it wrong, as the reference validators do. Writes take it: there
is much of it in records that work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fhir_server.validation.findings import Finding, Findings, Json

URI = "urn:ietf:rfc:3986"
_BITS = 6  # of a character of base64

_is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match
_block_tags = re.compile(r"<(/?)(blockquote|div|ol|p|table|ul)(?=[\s/>])[^<>]*?(/?)>").finditer


def attachment(value: Json) -> Findings | None:
    """The size is the number of bytes of the data, when both are there."""
    data, size = value.get("data"), value.get("size")
    if type(data) is not str or type(size) is not int:
        return None
    characters = len("".join(data.split()).rstrip("="))
    counted = characters * _BITS // 8
    if counted == size:
        return None
    return [Finding("structure", f"The size says {size}; the data has {counted} bytes.", ".size")]


def identifier(value: Json) -> Findings | None:
    """The system is an absolute URI; an identifier that is a URI itself is absolute too."""
    system, own = value.get("system"), value.get("value")
    if type(system) is not str:
        return None
    if not _is_absolute(system):
        text = "The system of an identifier is an absolute URI; for an OID urn:oid: and its numbers."
        return [Finding("code-invalid", text, ".system")]
    if system == URI and type(own) is str and not _is_absolute(own):
        text = f"In the system {URI} the value is an absolute URI; for an OID urn:oid: and its numbers."
        return [Finding("code-invalid", text, ".value")]
    return None


def meta(value: Json) -> Findings | None:
    """Security labels are a set. https://hl7.org/fhir/R4/resource.html#Meta"""
    labels = value.get("security")
    if type(labels) is not list or len(labels) < 2:
        return None
    found: Findings = []
    seen: set[tuple[Any, Any]] = set()
    for place, row in enumerate(labels):
        label = (row.get("system"), row.get("code")) if type(row) is dict else (None, None)
        if not all(type(part) is str for part in label):
            continue
        if label in seen:
            found.append(Finding("business-rule", "This security label is given twice.", f".security[{place}]"))
        seen.add(label)
    return found or None


def narrative(value: Json) -> Findings | None:
    """A paragraph holds nothing that has lines of its own. https://www.w3.org/TR/html4/struct/text.html#h-9.3.1"""
    text = value.get("div")
    if type(text) is not str or "<p" not in text:
        return None
    inside = False
    for tag in _block_tags(text):
        closes, name, is_empty = tag.groups()
        if inside and not closes:
            return [Finding("invalid", f"A paragraph of the narrative must not have the element {name} in it.", ".div")]
        if name == "p" and not is_empty:
            inside = not closes
    return None


SAID_OF: dict[str, Callable[[Json], Findings | None]] = {
    "Attachment": attachment,
    "Identifier": identifier,
    "Meta": meta,
    "Narrative": narrative,
}
