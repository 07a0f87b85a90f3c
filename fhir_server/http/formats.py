"""The media types of resources, and answers in XML for who prefers them. https://hl7.org/fhir/R4/http.html#mime-type

Everything is made and kept in JSON; an answer becomes XML at the very end. Whoever asks for nothing but JSON, or for
nothing, pays one look into the header Accept and one into the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.xml import XmlError, encode

Headers = dict[bytes, bytes]
HeaderList = list[tuple[bytes, bytes]]
Query = Sequence[tuple[str, str]]

FHIR_XML = "application/fhir+xml"
JSON_TYPES = ("application/fhir+json", "application/json", "text/json")
XML_TYPES = (FHIR_XML, "application/xml", "text/xml")
# What the types of a Binary's content are not: application/xml is one, a CDA document has it.
RESOURCE_TYPES = (*JSON_TYPES, FHIR_XML)
XML_FORMATS = (*XML_TYPES, "xml")
FORMATS = (*JSON_TYPES, "json", *XML_FORMATS)
ACCEPTABLE = (*JSON_TYPES, *XML_TYPES, "application/*", "*/*", "text/*")
# As registered for XML Patch: https://www.rfc-editor.org/rfc/rfc7351
XML_PATCH = "application/xml-patch+xml"
CONTENT_TYPE = (b"content-type", b"application/fhir+json; charset=utf-8")
_XML_CONTENT_TYPE = (b"content-type", b"application/fhir+xml; charset=utf-8")
# Browsers list application/xml before */* and mean pages by it.
_BROWSER = {"text/html", "*/*"}
_PLAIN = frozenset({b"", b"*/*", b"application/fhir+json", b"application/json"})


def format_in(query: Query) -> str:
    """Return what `_format` asks for, in lower case and without parameters; empty where it is not given."""
    for name, value in query:
        if name == "_format" and value:
            return value.partition(";")[0].strip().replace(" ", "+").lower()
    return ""


def asks_for_xml(headers: Headers, query_string: bytes, form: Query) -> bool:
    """Whether the client prefers XML: by `_format`, in the URL or in a form, else by the weights in Accept.

    What weighs the same is settled for the type that is named rather than matched by a wildcard, and then for JSON.
    """
    accept = headers.get(b"accept", b"")
    if (accept in _PLAIN or b"xml" not in accept.lower()) and b"_format" not in query_string and not form:
        return False
    try:
        asked = format_in([*parse_qsl(query_string.decode("latin-1"), max_num_fields=2000), *form])
    except ValueError:
        asked = ""
    if asked:
        return asked in XML_FORMATS
    weights = _weights(accept.decode("latin-1").lower())
    if weights.keys() >= _BROWSER:
        return False
    return _best(weights, XML_TYPES) > _best(weights, JSON_TYPES)


def _weights(accept: str) -> dict[str, float]:
    """Return each media type with its weight. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1"""
    weights: dict[str, float] = {}
    for kind in accept.split(","):
        name, *parameters = (part.strip() for part in kind.split(";"))
        given = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        weights[name] = max(_number(given), weights.get(name, 0.0))
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _best(weights: dict[str, float], types: tuple[str, ...]) -> tuple[float, bool]:
    named = [weights[name] for name in types if name in weights]
    if any(named):
        return max(named), True
    return max(weights.get("*/*", 0.0), weights.get("application/*", 0.0), weights.get("text/*", 0.0)), False


def in_xml(rows: HeaderList, body: bytes) -> tuple[HeaderList, bytes]:
    """Return headers and body of an answer with its resource in XML; what is no resource stays as it is.

    JSON that was made pretty becomes pretty XML.
    So does a resource with members that FHIR does not have: XML has no place for them, and to serve it in another form
    than was asked for is better than to serve a part of it.
    """
    if CONTENT_TYPE not in rows:
        return rows, body
    try:
        text = encode(decode_stored(body), pretty=body.startswith(b"{\n"))
    except XmlError:
        return rows, body
    return [_XML_CONTENT_TYPE if row == CONTENT_TYPE else row for row in rows], text
