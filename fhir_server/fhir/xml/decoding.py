"""A resource in XML becomes the value that its JSON would: strictly, and safe against hostile documents.

https://hl7.org/fhir/R4/xml.html. Expat calls back for each element, keeps no tree and knows where in the bytes it is.
(lxml's tree takes longer to walk, and a Binary may exceed the 10 MB that libxml2 allows a value unless all its limits
are lifted.) What the format has no use for is refused where it begins, before anything of it is expanded or fetched:
document types (so there are no entities but the five of XML itself), processing instructions, other encodings than
UTF-8. Comments, and white space between elements, are skipped.

Elements must come in the order of the definitions, as the specification says ("Elements must always appear in the order
documented"); HAPI's parser takes any order, its validator does not. A value that is no boolean or number though it
should be stays text: what checks the resource refuses it, as it would in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NoReturn
from xml.parsers import expat

from fhir_server.fhir.json import MAX_DEPTH, JsonError, decode_stored
from fhir_server.fhir.json import decode as decode_json
from fhir_server.fhir.xml.failure import XmlError
from fhir_server.fhir.xml.narrative import NarrativeReader
from fhir_server.fhir.xml.shapes import (
    COMPLEX,
    FHIR,
    NARRATIVE,
    PRIMITIVE,
    RESOURCE,
    SEPARATOR,
    WRAPPED,
    Child,
    Shape,
    any_resource,
    shape_of,
)

Json = dict[str, Any]

_UTF_8 = ("utf-8", "us-ascii")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Says where a schema is: nothing is fetched from there. The specification wants it left out; editors put it in.
_SCHEMA_LOCATION = f"http://www.w3.org/2001/XMLSchema-instance{SEPARATOR}schemaLocation"
_is_integer = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII).fullmatch
_is_number = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_is_name = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII).fullmatch
_BOOLEANS: dict[str, Any] = {"true": True, "false": False}


def decode(raw: bytes) -> Json:
    """Return the resource that a stranger sent in XML, as `json.decode` would return it from JSON.

    Raises XmlError on anything that is not well-formed UTF-8 XML in FHIR's namespace, on elements and attributes that
    the definitions do not have at that place, and on nesting deeper than JSON may have (MAX_DEPTH).
    """
    return _Reader(raw).read()


class _Frame:
    """An element that is open: what it is, what was read of it, the place of its last child."""

    __slots__ = ("child", "depth", "is_ragged", "order", "shape", "text", "value")

    def __init__(self, child: Child | None, shape: Shape, value: Json, depth: int) -> None:
        self.child = child
        self.shape = shape
        self.value = value
        self.depth = depth
        self.order = -1
        self.text: str | None = None
        self.is_ragged = False


class _Reader:
    """Reads one document."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._stack = [_Frame(None, any_resource(), {}, 0)]
        self._narrative: NarrativeReader | None = None

    def read(self) -> Json:
        if self._raw[:2] in _UTF_16:
            raise XmlError("the encoding must be UTF-8")
        parser = self._parser = expat.ParserCreate("utf-8", SEPARATOR)
        parser.buffer_text = True  # else there is a call for every line
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._document_type
        parser.ProcessingInstructionHandler = self._instruction
        self._narrative = NarrativeReader(parser, self._raw, self._refuse, self._narrative_ends)
        self._go_on()
        try:
            parser.Parse(self._raw, True)
        except expat.ExpatError as error:
            raise XmlError(str(error)) from None
        finally:
            del self._parser, self._narrative  # they refer to this reader, through its methods
        (resource,) = self._stack[0].value.values()
        assert isinstance(resource, dict)
        return resource

    def _go_on(self) -> None:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        frame = self._stack[-1]
        child = frame.shape.children.get(name)
        if child is None:
            self._refuse_element(name, frame)
        if child.order <= frame.order and (child.order < frame.order or not child.repeats):
            self._refuse_order(child, frame)
        frame.order = child.order
        depth = frame.depth + (2 if child.repeats else 1)
        if depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels")
        kind = child.kind
        value: Json = {}
        if kind == COMPLEX:
            _put(frame.value, child, value)
        elif kind == NARRATIVE:
            assert self._narrative is not None
            self._narrative.start(attributes)
            return
        elif kind == RESOURCE:
            value["resourceType"] = child.type
            frame.value[""] = value
        shape = any_resource() if kind == WRAPPED else shape_of(child.type)
        inner = _Frame(child, shape, value, depth)
        self._stack.append(inner)
        if attributes:
            self._take_attributes(inner, attributes)

    def _take_attributes(self, frame: _Frame, attributes: dict[str, str]) -> None:
        known = frame.shape.attributes
        for name, text in attributes.items():
            if name == "value" and name in known:
                frame.text = text
            elif name in known:
                frame.value[name] = text
            elif name != _SCHEMA_LOCATION or len(self._stack) > 2:
                self._refuse(f"the attribute {_shown(name)} does not belong there")

    def _end(self, name: str) -> None:
        frame = self._stack[-1]
        child = frame.child
        assert child is not None
        value = frame.value
        if child.kind == PRIMITIVE:
            if frame.text is None and not value:
                self._refuse("the element has neither a value nor an extension")
            try:
                item = None if frame.text is None else _converted(child.type, frame.text)
            except JsonError as error:
                self._refuse(str(error))
            self._stack.pop()
            _put_primitive(self._stack[-1], child, item, value)
            return
        if not value:
            self._refuse("the element is empty")
        if frame.is_ragged:
            _fill(value)
        self._stack.pop()
        if child.kind == WRAPPED:
            _put(self._stack[-1].value, child, value[""])

    def _text(self, text: str) -> None:
        if not text.isspace():
            self._refuse("text stands between elements; values are attributes")

    def _narrative_ends(self, div: str) -> None:
        self._stack[-1].value["div"] = div
        self._go_on()

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _UTF_8:
            raise XmlError("the encoding must be UTF-8")

    def _document_type(self, *declaration: object) -> None:
        raise XmlError("a document type (DOCTYPE) is not accepted, nor are entities of its own")

    def _instruction(self, *instruction: object) -> None:
        self._refuse("a processing instruction is not accepted")

    def _refuse_element(self, name: str, frame: _Frame) -> NoReturn:
        local = name.rpartition(SEPARATOR)[2]
        if frame.shape is any_resource():
            where = "the root element" if len(self._stack) == 1 else "the element"
            self._refuse(f"{where} must be one resource of R4 in the namespace {FHIR}, not {_shown(local)}")
        if any(known.endswith(f"{SEPARATOR}{local}") for known in frame.shape.children):
            self._refuse(f"the element {_shown(local)} is in the wrong namespace", local)
        self._refuse(f"the element {_shown(local)} does not belong there", local)

    def _refuse_order(self, child: Child, frame: _Frame) -> NoReturn:
        if child.order == frame.order:
            self._refuse(f"the element {child.member} may be there only once", child.step)
        late = f"the element {child.member} comes too late: the order of elements is that of the definition"
        self._refuse(late, child.step)

    def _refuse(self, message: str, step: str = "") -> NoReturn:
        path = _path(self._stack)
        path += f".{step}" if _is_name(step) and path else ""
        raise XmlError(f"{message} (line {self._parser.CurrentLineNumber})", path)


def _path(stack: list[_Frame]) -> str:
    """Return the FHIRPath of the innermost open element."""
    path = ""
    for outer, frame in pairwise(stack):
        child = frame.child
        assert child is not None
        if child.kind == RESOURCE:
            path = path or child.type
            continue
        path += f".{child.step}"
        if child.repeats:
            there = len(outer.value.get(child.member, ()))
            path += f"[{there - 1 if child.kind == COMPLEX else there}]"
    return path


def _put(value: Json, child: Child, item: Any) -> None:
    if child.repeats:
        value.setdefault(child.member, []).append(item)
    else:
        value[child.member] = item


def _put_primitive(frame: _Frame, child: Child, item: Any, beside: Json) -> None:
    """Add a value and, in the member of the same name with `_`, its id and extensions."""
    value = frame.value
    if not child.repeats:
        if item is not None:
            value[child.member] = item
        if beside:
            value[child.beside] = beside
        return
    items = value.setdefault(child.member, [])
    if beside:
        row = value.setdefault(child.beside, [])
        row += [None] * (len(items) - len(row))
        row.append(beside)
        frame.is_ragged = True
    items.append(item)


def _fill(value: Json) -> None:
    """Make lists of values and of what stands beside them equally long; a list of nulls only is left out."""
    for name in [name for name, row in value.items() if name[0] == "_" and type(row) is list]:
        items = value[name[1:]]
        value[name] += [None] * (len(items) - len(value[name]))
        if not any(item is not None for item in items):
            del value[name[1:]]


def _converted(code: str, text: str) -> Any:
    convert = _CONVERTERS.get(code)
    return text if convert is None else convert(text)


def _boolean(text: str) -> Any:
    return _BOOLEANS.get(text, text)


def _integer(text: str) -> Any:
    return int(text) if _is_integer(text) else text


def _decimal(text: str) -> Any:
    if not _is_number(text):
        return text
    return decode_stored(text.encode()) if len(text) < 18 else decode_json(text.encode())


def _shown(name: str) -> str:
    return repr(name.rpartition(SEPARATOR)[2][:64])


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "decimal": _decimal,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
}
