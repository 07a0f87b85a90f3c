"""The narrative: XHTML inside XML, and text inside JSON. https://hl7.org/fhir/R4/narrative.html#xhtml

On its way in it is kept as it is written where it stands on its own, that is, where it names its namespace itself; only
numeric references become the letters that they are. On
its way out it is put into the document as it is once it has been found to be well-formed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import name2codepoint
from typing import NoReturn
from xml.parsers import expat

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.xml.escaping import escaped
from fhir_server.fhir.xml.shapes import SEPARATOR, XHTML

_PREFIX = XHTML + SEPARATOR
_XML = f"http://www.w3.org/XML/1998/namespace{SEPARATOR}"
_numbered = re.compile(r"&#(x[0-9a-fA-F]+|[0-9]+);").sub
_SPECIAL = frozenset("&<>\"'\t\n\r")
_entity = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_VOID = frozenset({"br", "col", "hr", "img"})  # browsers take <br></br> for two
_OF_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})


class NarrativeReader:
    """Takes the place of a reader's callbacks while a `div` is open, and hands its text over at the end."""

    def __init__(
        self,
        parser: expat.XMLParserType,
        raw: bytes,
        refuse: Callable[[str], NoReturn],
        done: Callable[[str], None],
    ) -> None:
        self._parser = parser
        self._raw = raw
        self._refuse = refuse
        self._done = done
        self._declared_at = -1
        self._is_prefixed = False
        self._parts: list[str] | None = None
        self._depth = self._begin = 0
        parser.StartNamespaceDeclHandler = self._namespace

    def start(self, attributes: dict[str, str]) -> None:
        """Begin with the `div` whose start tag the parser is at."""
        parser = self._parser
        self._begin = parser.CurrentByteIndex
        self._depth = 1
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        stands_alone = self._declared_at == self._begin and not self._is_prefixed
        self._parts = None if stands_alone else [f'<div xmlns="{XHTML}"']
        parser.CharacterDataHandler = None if stands_alone else self._text
        if not stands_alone:
            self._write_attributes(attributes)

    def _namespace(self, prefix: str | None, uri: str) -> None:
        if prefix is not None:
            self._is_prefixed = self._is_prefixed or uri == XHTML
        elif uri == XHTML:
            self._declared_at = self._parser.CurrentByteIndex

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not name.startswith(_PREFIX):
            self._refuse("the narrative has an element that is not of XHTML")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"the narrative is nested deeper than {MAX_DEPTH} levels")
        if self._parts is not None:
            self._parts.append(f"<{name.removeprefix(_PREFIX)}")
            self._write_attributes(attributes)

    def _write_attributes(self, attributes: dict[str, str]) -> None:
        assert self._parts is not None
        for name, value in attributes.items():
            plain = f"xml:{name.removeprefix(_XML)}" if name.startswith(_XML) else name
            if SEPARATOR in plain:
                self._refuse("the narrative has an attribute that is not of XHTML")
            self._parts.append(f' {plain}="{escaped(value)}"')
        self._parts.append(">")

    def _text(self, text: str) -> None:
        assert self._parts is not None
        self._parts.append(escaped(text, keep_space=True))

    def _end(self, name: str) -> None:
        self._depth -= 1
        parts, local = self._parts, name.removeprefix(_PREFIX)
        if parts is not None and local in _VOID and parts[-1] == ">":
            parts[-1] = "/>"
        elif parts is not None:
            parts.append(f"</{local}>")
        if self._depth == 0:
            self._done(self._as_it_stands() if self._parts is None else "".join(self._parts))

    def _as_it_stands(self) -> str:
        """Return the text from the start tag to the end tag, with the line ends that XML says it has."""
        at = self._parser.CurrentByteIndex
        end = self._raw.index(b">", at) + 1 if self._raw.startswith(b"</div", at) else at  # else it is <div/>
        text = self._raw[self._begin : end].decode()
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return (
            text
            if "&#" not in text or "<![CDATA[" in text
            else _numbered(_character if "'" in text else _character_or_quote, text)
        )


def _character(match: re.Match[str]) -> str:
    """Return the letter of a numeric reference, or the reference where the letter itself would mean something else."""
    text = match[1]
    letter = chr(int(text[1:], 16) if text[0] == "x" else int(text))
    return match[0] if letter in _SPECIAL or "\x7f" <= letter <= "\x9f" else letter


def _character_or_quote(match: re.Match[str]) -> str:
    """As `_character`, in text without an apostrophe, which so ends no attribute."""
    return "'" if match[1] in ("39", "x27") else _character(match)


def as_element(div: str) -> str:
    """Return a narrative as an element that can be put into a document.

    Names of HTML's entities, which XML has not, become letters. Text that is still no `div` of XHTML is shown as what
    it is, text: only a server that does not check what it stores has such.
    """
    if _is_div(div):
        return div
    known = _entity.sub(_letter, div)
    if _is_div(known):
        return known
    return f'<div xmlns="{XHTML}">{escaped(div, keep_space=True)}</div>'


def _letter(match: re.Match[str]) -> str:
    name = match[1]
    return chr(name2codepoint[name]) if name in name2codepoint and name not in _OF_XML else match[0]


def _is_div(text: str) -> bool:
    if not text.startswith("<div"):  # nothing may stand before it: a declaration has no place in a document
        return False
    names: list[str] = []
    parser = expat.ParserCreate("utf-8", SEPARATOR)
    parser.StartElementHandler = lambda name, _: names.append(name) if not names else None
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError):
        return False
    return names == [f"{_PREFIX}div"]
