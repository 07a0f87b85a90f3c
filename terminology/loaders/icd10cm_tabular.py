"""The tabular list of ICD-10-CM as XML: chapters, sections and codes with their notes.

https://www.cdc.gov/nchs/icd/icd-10-cm/files.html (icd10cm-tabular-2024.xml and its .xsd)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from terminology.loaders.files import Files
from terminology.loaders.findings import broken

Json = dict[str, Any]

MAX_DEPTH = 40
MAX_TEXT = 1024 * 1024
MAX_TAG = 4 * 1024 * 1024
MAX_FILE = 256 * 1024 * 1024  # the real one has some 10 MB
NOTES = ("includes", "excludes1", "excludes2", "codeFirst", "useAdditionalCode", "codeAlso", "notes", "sevenChrNote")
_KINDS = {"chapter": "chapter", "section": "section", "diag": "code"}
_RANGE = re.compile(r"\s*\(([A-Z][0-9][0-9A-Z](?:-[A-Z][0-9][0-9A-Z])?)\)\s*$")
_CHUNK = 64 * 1024


@dataclass(slots=True)
class Node:
    """A chapter, section or code. `names` are its inclusion terms, `notes` property rows, `seventh` its characters."""

    kind: str
    line: int
    parent: str = ""
    code: str = ""
    title: str = ""
    names: list[str] = field(default_factory=list)
    notes: list[Json] = field(default_factory=list)
    has_seventh: bool = False
    has_children: bool = False

    @property
    def is_billable(self) -> bool:
        """Whether it can be reported as it is: nothing is below it, and it needs no seventh character."""
        return not self.has_children and not self.has_seventh


def read_tabular(files: Files, name: str) -> tuple[str, dict[str, Node]]:
    """Return the version and the nodes by code, each after its parent. Raises Unprocessable for any other XML."""
    reading = _Reading(name)
    with files.open(name) as file:
        while chunk := file.read(_CHUNK):
            reading.feed(chunk)
        reading.feed(b"", last=True)
    if not reading.nodes:
        raise broken(name, 0, "this XML has no chapters of ICD-10-CM.")
    return reading.version, reading.nodes


class _Reading:
    """One walk through the XML. Document types are refused: they have no use here, and entities can explode."""

    def __init__(self, name: str) -> None:
        self.version = ""
        self.nodes: dict[str, Node] = {}
        self._name = name
        self._path: list[str] = []
        self._open: list[Node] = []
        self._text: list[str] = []
        self._size = 0
        self._fed = 0
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes, *, last: bool = False) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise broken(self._name, error.lineno, f"this is no XML ({expat.ErrorString(error.code)}).") from None
        except (LookupError, ValueError) as error:
            raise broken(self._name, 1, f"the XML has an encoding that is not read here ({error}).") from None
        self._fed += len(chunk)
        if self._fed > MAX_FILE or self._fed - self._parser.CurrentByteIndex > MAX_TAG:
            raise broken(self._name, self._line(), "the XML, or one of its tags, is too large.")

    def _refuse(self, *_: object) -> None:
        raise broken(self._name, self._line(), "a document type is not allowed here.")

    def _line(self) -> int:
        return int(self._parser.CurrentLineNumber)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag != "ICD10CM.tabular":
            raise broken(self._name, self._line(), f"the XML begins with {tag[:40]}, not ICD10CM.tabular.")
        if len(self._path) >= MAX_DEPTH:
            raise broken(self._name, self._line(), f"elements are nested deeper than {MAX_DEPTH}.")
        self._path.append(tag)
        self._text, self._size = [], 0
        if tag in _KINDS:
            above = self._open[-1] if self._open else None
            parent = above.code if above is not None else ""
            node = Node(_KINDS[tag], self._line(), parent, code=_section(attributes.get("id", "")))
            if above is not None:
                above.has_children = True
                node.has_seventh = above.has_seventh
            self._open.append(node)
            if node.code:
                self._keep(node)
        elif tag == "sevenChrDef" and self._open:
            self._open[-1].has_seventh = True

    def _characters(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise broken(self._name, self._line(), f"a text has more than {MAX_TEXT} letters.")
        self._text.append(text)

    def _end(self, tag: str) -> None:
        text = " ".join("".join(self._text).split())
        self._text, self._size = [], 0
        self._path.pop()
        above = self._path[-1] if self._path else ""
        if tag in _KINDS:
            self._open.pop()
        elif not self._open:
            self.version = text if tag == "version" else self.version
        else:
            self._tell(self._open[-1], tag, above, text)

    def _tell(self, node: Node, tag: str, above: str, text: str) -> None:
        """Take what an element says of the node that it stands in."""
        if above in _KINDS and tag == "name" and node.kind == "code":
            node.code = text
            self._keep(node)
        elif above in _KINDS and tag == "desc":
            node.title = _RANGE.sub("", text)
            if node.kind == "chapter":
                self._name_chapter(node, text)
        elif tag == "note" and above == "inclusionTerm":
            node.names.append(text)
        elif tag == "note" and above in NOTES and text:
            node.notes.append({"code": above, "valueString": text})
        elif tag == "extension" and above == "sevenChrDef":
            node.has_seventh = True

    def _name_chapter(self, node: Node, text: str) -> None:
        """Chapters go by the range of their codes: their numbers are nobody's codes."""
        found = _RANGE.search(text)
        if found is None:
            raise broken(self._name, self._line(), "a chapter does not end with its range of codes, as in (A00-B99).")
        node.code = found[1]
        self._keep(node)

    def _keep(self, node: Node) -> None:
        if node.code in self.nodes:
            raise broken(self._name, node.line, f"the code {node.code[:40]} stands here a second time.")
        self.nodes[node.code] = node


def _section(code: str) -> str:
    """Return a section's range; one of a single category (C50) must not be called like that category."""
    return f"{code}-{code}" if code and "-" not in code else code
