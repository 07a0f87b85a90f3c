"""The narrative: well-formed XHTML that can be shown to anyone. https://hl7.org/fhir/R4/narrative.html#xhtml

Elements, attributes and link schemes are lists of what is allowed (narrative.json), not of what is dangerous. There is
no document type, so there are no entities to expand; expat calls back and keeps no tree.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from xml.parsers import expat

from fhir_server.validation.findings import Findings, Held, Json, JsonValue, refuse, shown, wrong_kind

_XHTML = "http://www.w3.org/1999/xhtml"
_ALLOWED = {
    name: frozenset(row) for name, row in json.loads((files(__package__) / "narrative.json").read_text()).items()
}
_ELEMENTS, _ATTRIBUTES = _ALLOWED["elements"], _ALLOWED["attributes"]
_LINKS, _SCHEMES = _ALLOWED["links"], _ALLOWED["schemes"]

_ignored_in_urls = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_runs_code = re.compile(
    r"expression\s*\(|javascript\s*:|vbscript\s*:|@import|-moz-binding|behaviou?r\s*:|\\", re.I
).search


class _Refused(Exception):
    """The narrative is not acceptable; the message says why."""


def narrative(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept one XHTML div with content, of the elements and attributes that a narrative may use."""
    if type(item) is not str:
        return wrong_kind("a string with an XHTML div", item)
    reader = _Reader()
    try:
        reader.read(item)
    except _Refused as refusal:
        return refuse("invalid", f"{refusal}.")
    except (expat.ExpatError, ValueError):
        return refuse("invalid", "The narrative is not well-formed XHTML (HTML entities such as &nbsp; do not count).")
    if reader.is_empty:
        return refuse("invalid", "The narrative has neither text nor an image.")
    if reader.images and any(image not in held for image in reader.images):
        return refuse("not-found", "There is no contained resource with the id that an image of the narrative shows.")
    return None


class _Reader:
    """Reads one div; raises _Refused at the first thing that may not be there."""

    def __init__(self) -> None:
        self.is_empty = True
        self.images: list[str] = []  # those of the resource itself: `#id` of what it contains
        self._is_root = True

    def read(self, text: str) -> None:
        parser = self._parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._document_type
        parser.ProcessingInstructionHandler = self._instruction
        try:
            parser.Parse(text, True)
        finally:
            del self._parser

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_root:
            self._is_root = False
            if name != "div" or attributes.get("xmlns") != _XHTML:
                raise _Refused(f'The narrative is one <div xmlns="{_XHTML}">')
        if name not in _ELEMENTS:
            raise _Refused(f"The narrative must not have the element {shown(name)}")
        if name == "img" and "src" in attributes:
            self._content_found()
            if attributes["src"][:1] == "#":
                self.images.append(attributes["src"][1:])
        for attribute, value in attributes.items():
            if attribute in _ATTRIBUTES:
                if attribute in _LINKS:
                    _check_link(name, value)
                elif attribute == "style" and _runs_code(value):
                    raise _Refused("The style attribute must not run code or load style sheets")
            elif attribute != "xmlns" or value != _XHTML:
                raise _Refused(f"The narrative must not have the attribute {shown(attribute)} on {name}")

    def _text(self, text: str) -> None:
        if not text.isspace():
            self._content_found()

    def _content_found(self) -> None:
        self.is_empty = False
        self._parser.CharacterDataHandler = None

    def _document_type(self, *declaration: object) -> None:
        raise _Refused("The narrative must not have a document type")

    def _instruction(self, *instruction: object) -> None:
        raise _Refused("The narrative must not have processing instructions")


def _check_link(element: str, value: str) -> None:
    """Refuse links that a browser would run; what browsers skip inside a scheme is skipped here too."""
    compact = _ignored_in_urls.sub("", value)
    match = _scheme(compact)
    if match is None or match[1].lower() in _SCHEMES:
        return
    if element == "img" and compact[:11].lower() == "data:image/":
        return
    raise _Refused("The narrative must not link to anything but web pages, mail addresses and images")
