"""An HTTP request read into what interactions understand. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.api.errors import InvalidRequest, Malformed, NotAcceptable, TooLarge, UnsupportedFormat
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.xml import XmlError
from fhir_server.fhir.xml import decode as decode_xml
from fhir_server.http.binaries import is_read, uploaded
from fhir_server.http.formats import ACCEPTABLE, FORMATS, JSON_TYPES, RESOURCE_TYPES, XML_PATCH, XML_TYPES, format_in
from fhir_server.interactions.operation import ARCHIVE_TYPES
from fhir_server.interactions.patch import ACCEPTED
from fhir_server.interactions.request import Conditions, Request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = dict[bytes, bytes]

FORM = "application/x-www-form-urlencoded"
# Bodies that only operations take, which read them themselves. https://hl7.org/fhir/R4/graphql.html
TEXT_TYPES = ("application/graphql",)
# The version as media types name it. https://hl7.org/fhir/R4/http.html#version-parameter
FHIR = "4.0"
MAX_PARAMETERS = 2000
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_CHARSETS = ("utf-8", "utf8", "us-ascii")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return the whole body, decompressed. Raises TooLarge past `limit` bytes, Malformed when it breaks off."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"The body has more than {limit} bytes. Send less at once, or use $import.")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The body broke off before its end.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body has more than {limit} bytes. Send less at once, or use $import.")
        chunks.append(chunk)
        if not message.get("more_body"):
            break
    raw = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    return _inflated(raw, encoding, limit) if encoding not in (b"", b"identity") else raw


def _inflated(raw: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding != b"gzip":
        raise UnsupportedFormat("Content-Encoding must be gzip or absent.")
    inflater = zlib.decompressobj(31)
    try:
        whole = inflater.decompress(raw, limit + 1)
    except zlib.error:
        raise Malformed("The body is not gzip as Content-Encoding says.") from None
    if len(whole) > limit:
        raise TooLarge(f"The body has more than {limit} bytes when inflated. Send less at once, or use $import.")
    if not inflater.eof:
        raise Malformed("The gzip body broke off before its end.")
    return whole


def to_request(scope: Scope, headers: Headers, path: str, raw: bytes) -> Request:
    """Return the request of an ASGI scope; `path` is the part after the base URL.

    Raises Malformed, UnsupportedFormat or NotAcceptable for what cannot be read or answered.
    """
    method: str = scope["method"]
    query_string: bytes = scope["query_string"]
    query = _pairs(query_string.decode("latin-1")) if query_string else []
    segments = tuple(filter(None, path.split("/")))  # ASGI decodes paths
    if not is_read(method, segments) or not accepted_content(headers, query):
        _acceptable(headers, query)
    body, content = None, ""
    if method in _METHODS_WITH_BODY:
        content, charset = _content_type(headers)
        if content == FORM and method == "POST" and _takes_form(segments):
            query = [*query, *_form(raw)]
        elif raw:
            body = _body(raw, content, charset, method, segments, headers)
        elif method != "POST":
            raise Malformed(f"{method} needs a body.")
    prefer = _preferences(headers)
    return Request(
        method, segments, query, body, content, _conditions(headers), prefer.get("handling") == "strict",
        "respond-async" in prefer, headers.get(b"accept-language", b"").decode("latin-1"), prefer.get("return", ""),
    )  # fmt: skip


def _body(raw: bytes, content: str, charset: str, method: str, segments: tuple[str, ...], headers: Headers) -> Any:
    """Return what a body says: a resource or a patch, the text that an operation reads, the content of a Binary."""
    last = segments[-1] if segments else ""
    if method == "POST" and last == "_search":
        raise UnsupportedFormat(f"Content-Type must be {FORM}: a search has parameters and no resource.")
    if segments[:1] == ("Binary",) and content not in RESOURCE_TYPES and method != "PATCH" and last[:1] != "$":
        return uploaded(raw, segments, headers)
    if content in ARCHIVE_TYPES and method == "POST" and last[:1] == "$":
        return uploaded(raw, ("Binary",), headers)
    if charset not in _CHARSETS:
        raise Malformed("The body must be UTF-8.")
    return _text(raw) if content in TEXT_TYPES and last[:1] == "$" else _decoded(raw, content, method)


def _preferences(headers: Headers) -> dict[str, str]:
    """Return what the client would like, by lower-case names. https://www.rfc-editor.org/rfc/rfc7240#section-2"""
    text = headers.get(b"prefer")
    if text is None:
        return {}
    given: dict[str, str] = {}
    for part in text.decode("latin-1").replace(";", ",").split(","):
        name, _, value = part.partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"'))
    return given


def _takes_form(segments: tuple[str, ...]) -> bool:
    """Whether the path is a search or an operation; nothing else has parameters in its body."""
    return bool(segments) and (segments[-1] == "_search" or segments[-1][:1] == "$")


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidRequest(f"There are more than {MAX_PARAMETERS} parameters in the query.") from None


def _form(raw: bytes) -> list[tuple[str, str]]:
    try:
        return _pairs(raw.decode())
    except UnicodeDecodeError:
        raise Malformed("The form is not URL-encoded UTF-8.") from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None


def _decoded(raw: bytes, content: str, method: str) -> Any:
    if content not in (ACCEPTED if method == "PATCH" else JSON_TYPES):
        return _decoded_xml(raw, content, method)
    try:
        return decode(raw)
    except JsonError as error:
        raise Malformed(f"The body is not acceptable JSON: {error}.") from None


def _decoded_xml(raw: bytes, content: str, method: str) -> Any:
    """Return the resource of a body in XML; a patch in XML is the Parameters of FHIRPath Patch."""
    if content not in (RESOURCE_TYPES if method == "PATCH" else XML_TYPES):
        known = ACCEPTED if method == "PATCH" else RESOURCE_TYPES
        note = " XML Patch is not supported." if content == XML_PATCH else ""
        raise UnsupportedFormat(f"Content-Type must be {' or '.join(known)}.{note}")
    try:
        return decode_xml(raw)
    except XmlError as error:
        raise Malformed(f"The body is not acceptable FHIR XML: {error}.", expression=error.expression) from None


def _content_type(headers: Headers) -> tuple[str, str]:
    text = headers.get(b"content-type", b"application/fhir+json").decode("latin-1").lower()
    kind, _, rest = text.partition(";")
    named = _named(rest) if rest else {}
    if named.get("fhirversion", FHIR) != FHIR:
        raise UnsupportedFormat(f"The body must be of FHIR version {FHIR}.")
    return kind.strip(), named.get("charset", "utf-8")


def _named(parameters: str) -> dict[str, str]:
    """Return the parameters of a media type, by lower-case names."""
    pairs = (parameter.partition("=") for parameter in parameters.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _acceptable(headers: Headers, query: list[tuple[str, str]]) -> None:
    asked = format_in(query)
    if asked:
        if asked not in FORMATS:
            raise NotAcceptable("_format must be json or xml.")
        return
    accept = headers.get(b"accept")
    if not accept or accept in (b"*/*", b"application/fhir+json"):
        return
    if not any(map(_is_acceptable, accept.decode("latin-1").split(","))):
        raise NotAcceptable("The answer can only be application/fhir+json or application/fhir+xml.")


def accepted_content(headers: Headers, query: Sequence[tuple[str, str]]) -> list[str]:
    """Return the media types that a client accepts, where none of them is that of a resource: else nothing."""
    accept = headers.get(b"accept", b"*/*")
    if accept == b"*/*" or any(name == "_format" for name, _ in query):
        return []
    kinds = [kind.strip().lower() for kind in accept.decode("latin-1").split(",")]
    names = [kind.partition(";")[0].strip() for kind in kinds if _weighs(kind)]
    return [] if set(names) <= {"*/*"} or set(names).intersection(RESOURCE_TYPES) else names


def _weighs(kind: str) -> bool:
    return _named(kind.partition(";")[2]).get("q", "1").strip("0.") != ""


def _is_acceptable(kind: str) -> bool:
    """Whether a resource can be of that type, is of that version of FHIR and wanted at all (a weight above 0)."""
    name, _, rest = kind.partition(";")
    if name.strip().lower() not in ACCEPTABLE:
        return False
    return not rest or (_named(rest).get("fhirversion", FHIR) == FHIR and _weighs(kind))


def _conditions(headers: Headers) -> Conditions:
    if not any(name in headers for name in _CONDITIONAL):
        return _NONE
    values = [headers.get(name, b"").decode("latin-1") for name in _CONDITIONAL]
    return Conditions(*values)


_CONDITIONAL = (b"if-match", b"if-none-match", b"if-modified-since", b"if-none-exist")
_NONE = Conditions()


def base_url(scope: Scope, headers: Headers, configured: str, prefix: str) -> str:
    """Return the URL of the FHIR API: as configured, else as the client called it."""
    if configured:
        return configured + prefix.removeprefix("/fhir") if prefix != "/fhir" else configured
    host = headers.get(b"host", b"localhost").decode("latin-1")
    if not all(c.isalnum() or c in ".-:[]_" for c in host):
        raise InvalidRequest("The Host header names no host.", location="http.Host")
    return f"{scope['scheme']}://{host}{prefix}"
