"""Bundles put together from stored bytes: no resource is decoded to be shown. https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.fhir.json import encode

Links = Sequence[tuple[str, str]]


def bundle(
    kind: str, entries: Iterable[bytes], *, links: Links = (), total: int | None = None, head: bytes = b""
) -> bytes:
    """Return a Bundle of ready-made entries. `head` is further members, written `"id":"x",`."""
    parts = [b'{"resourceType":"Bundle",', head, b'"type":"', kind.encode(), b'"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    if links:
        rows = [{"relation": relation, "url": url} for relation, url in links]
        parts += [b',"link":', encode(rows)]
    joined = b",".join(entries)
    if joined:
        parts += [b',"entry":[', joined, b"]"]
    parts.append(b"}")
    return b"".join(parts)


def search_entry(full_url: bytes, raw: bytes, mode: bytes = b"match") -> bytes:
    """Return an entry of a searchset: mode is match, include or outcome."""
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (full_url, raw, mode)


def plain_entry(full_url: bytes, raw: bytes) -> bytes:
    """Return an entry with nothing but its resource."""
    return b'{"fullUrl":"%b","resource":%b}' % (full_url, raw)


def history_entry(full_url: bytes, raw: bytes, method: str, url: str, status: str, etag: str, modified: str) -> bytes:
    """Return an entry of a history; a deletion has no bytes. https://hl7.org/fhir/R4/http.html#history"""
    request = encode({"method": method, "url": url})
    response = encode({"status": status, "etag": etag, "lastModified": modified})
    resource = b'"resource":%b,' % raw if raw else b""
    return b'{"fullUrl":"%b",%b"request":%b,"response":%b}' % (full_url, resource, request, response)


def response_entry(raw: bytes, response: dict[str, object], full_url: str = "") -> bytes:
    """Return an entry of a batch-response or transaction-response."""
    parts = []
    if full_url:
        parts.append(b'"fullUrl":' + encode(full_url))
    if raw:
        parts.append(b'"resource":' + raw)
    parts.append(b'"response":' + encode(response))
    return b"{" + b",".join(parts) + b"}"
