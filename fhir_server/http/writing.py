"""An answer written as HTTP: headers, Prefer, parts of resources, pretty print, compression.

https://hl7.org/fhir/R4/http.html#ops
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from isal import isal_zlib

from fhir_server.api.ports import Answer
from fhir_server.fhir.dates import format_http_date
from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.json import decode_stored, encode
from fhir_server.fhir.subsets import subset
from fhir_server.http.binaries import SAFE, content, is_read
from fhir_server.http.errors import status_code
from fhir_server.http.formats import CONTENT_TYPE, HeaderList
from fhir_server.http.reading import Headers, accepted_content
from fhir_server.interactions.entries import WRITES, outcome_of_write
from fhir_server.interactions.request import Request

# Caches may keep an answer for its reader, but ask whether it still holds: without this they guess how long it does.
CACHE = (b"cache-control", b"private, no-cache")
VARY = (b"vary", b"accept, accept-encoding")
MIN_COMPRESSED = 1400


def write(
    definitions: Definitions, request: Request, answer: Answer, headers: Headers, base: str
) -> tuple[int, HeaderList, bytes]:
    """Return status, headers and body of an answer."""
    status = status_code(answer)
    if answer.media_type:
        return status, [(b"content-type", answer.media_type.encode())], answer.body
    rows: HeaderList = []
    if answer.version:
        rows.append((b"etag", b'W/"%d"' % answer.version))
    if answer.updated:
        rows.append((b"last-modified", _http_date(answer.updated // 1000)))
    if answer.kind == "accepted":
        if answer.location:
            rows.append((b"content-location", f"{base}/{answer.location}".encode()))
        if answer.key:
            rows.append((b"x-progress", answer.key.encode("latin-1", "replace")[:100]))
        return status, rows, b""
    if answer.body and is_read(request.method, request.path):
        accepted = accepted_content(headers, request.query)
        if accepted:
            media_type, body = content(answer.body, accepted)
            return status, [*rows, (b"content-type", media_type), *SAFE], body
    if answer.location and request.method in WRITES:
        rows.append((b"location", f"{base}/{answer.location}".encode()))
    body = answer.body
    if body and request.method in WRITES and answer.key:
        body = _preferred(request.returning, answer)
    if body and request.query:
        body = _as_asked(definitions, request, body)
    if body:
        rows.append(CONTENT_TYPE)
    return status, rows, body


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> bytes:
    return format_http_date(seconds).encode()


def _preferred(returning: str, answer: Answer) -> bytes:
    """Return what Prefer asks to be returned of a write. https://hl7.org/fhir/R4/http.html#ops"""
    if returning == "minimal":
        return b""
    return encode(outcome_of_write(answer)) if returning == "OperationOutcome" else answer.body


def _as_asked(definitions: Definitions, request: Request, body: bytes) -> bytes:
    asked = {n: v for n, v in request.query if n in ("_summary", "_elements", "_pretty")}
    if not asked:
        return body
    summary = asked.get("_summary", "")
    summary = summary if summary in ("true", "text", "data") else ""
    elements = [e.strip() for e in asked.get("_elements", "").split(",") if e.strip()]
    if summary or elements:
        body = encode(_part(definitions, decode_stored(body), summary, elements))
    if asked.get("_pretty") == "true":
        body = msgspec.json.format(body, indent=2)
    return body


def _part(definitions: Definitions, resource: Any, summary: str, elements: Sequence[str]) -> Any:
    kind = resource.get("resourceType")
    if kind == "Bundle" and resource.get("type") in ("searchset", "history"):
        for entry in resource.get("entry", ()):
            inner = entry.get("resource")
            if inner and inner["resourceType"] != "OperationOutcome":
                entry["resource"] = subset(definitions, inner, summary, elements)
        return resource
    if kind in ("OperationOutcome", "CapabilityStatement", "Bundle", "Parameters"):
        return resource
    return subset(definitions, resource, summary, elements)


def compressed(body: bytes, headers: Headers, level: int) -> tuple[bytes, bool]:
    """Return the body, gzipped where the client takes it and it is worth it, and whether it was."""
    if level == 0 or len(body) < MIN_COMPRESSED or b"gzip" not in headers.get(b"accept-encoding", b""):
        return body, False
    return isal_zlib.compress(body, min(level, 3), 31), True
