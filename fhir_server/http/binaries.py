"""Binary in its own format: bytes in and bytes out. https://hl7.org/fhir/R4/binary.html#rest

A client that names no format, or any (`*/*`), gets the resource in JSON, one that names application/fhir+xml in XML;
one that names another gets the content, if it is of that. What strangers have uploaded is served so that no browser
runs it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

from fhir_server.api.errors import NotAcceptable, UnsupportedFormat
from fhir_server.fhir.json import decode_stored

Json = dict[str, Any]
Headers = dict[bytes, bytes]

UNKNOWN = "application/octet-stream"
# Formats of FHIR that this server does not read: they are resources all the same, and no content.
OTHER_FORMATS = ("application/fhir+turtle",)
SAFE = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", b"sandbox")]
_is_media_type = re.compile(r"[\w.+*-]+/[\w.+*-]+(?: ?; ?[\w.+-]+=[\w.+-]+)*", re.ASCII).fullmatch


def is_read(method: str, path: tuple[str, ...]) -> bool:
    """Whether a request is for one Binary, or one version of it."""
    return method in ("GET", "HEAD") and path[:1] == ("Binary",) and (len(path) == 2 or path[2:3] == ("_history",))


def uploaded(raw: bytes, path: tuple[str, ...], headers: Headers) -> Json:
    """Return the resource of a body that is its content. Raises UnsupportedFormat where that is not possible."""
    text = headers.get(b"content-type", b"").decode("latin-1").strip()
    if not _is_media_type(text) or text.partition(";")[0].strip().lower() in OTHER_FORMATS:
        raise UnsupportedFormat(
            "Content-Type must be application/fhir+json or application/fhir+xml, or the media type of the content."
        )
    resource: Json = {"resourceType": "Binary"}
    if len(path) > 1:
        resource["id"] = path[1]
    resource["contentType"] = text
    if context := headers.get(b"x-security-context", b""):
        resource["securityContext"] = {"reference": context.decode("latin-1")}
    return {**resource, "data": b64encode(raw).decode()}


def content(raw: bytes, accepted: list[str]) -> tuple[bytes, bytes]:
    """Return media type and content of a stored Binary. Raises NotAcceptable when no accepted type is its."""
    resource = decode_stored(raw)
    given = resource.get("contentType", "")
    media_type = given if _is_media_type(given) else UNKNOWN
    name = media_type.partition(";")[0].strip().lower()
    if not {"*/*", name, name.partition("/")[0] + "/*"}.intersection(accepted):
        raise NotAcceptable(
            f"The content is {name}; as a resource it is application/fhir+json or application/fhir+xml."
        )
    return media_type.encode(), b64decode(resource.get("data", ""))
