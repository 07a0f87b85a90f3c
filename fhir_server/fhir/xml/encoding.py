"""A resource as FHIR XML: elements in the order of the definitions, decimals with their digits.

https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import WrittenDecimal
from fhir_server.fhir.xml.escaping import escaped
from fhir_server.fhir.xml.failure import XmlError
from fhir_server.fhir.xml.narrative import as_element
from fhir_server.fhir.xml.shapes import FHIR, NARRATIVE, PRIMITIVE, WRAPPED, Child, Shape, shape_of

Json = dict[str, Any]


def encode(resource: Json, pretty: bool = False) -> bytes:
    """Return the UTF-8 XML of a resource as `json.decode` returns it: compact, or with an element on each line.

    Characters that XML cannot hold (control characters) become U+FFFD. Raises XmlError for members that the
    definitions do not have: XML has no place for them, and nothing is dropped silently.
    """
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    _resource(resource, out, f' xmlns="{FHIR}"')
    return "".join(_indented(out) if pretty else out).encode()


def _indented(tags: list[str]) -> list[str]:
    """Return the tags each on a line of its own; the narrative keeps its own lines."""
    lines, depth = tags[:1], 0
    for tag in tags[1:]:
        depth -= tag.startswith("</")
        lines.append("\n" + "  " * depth + tag)
        depth += not tag.startswith("</") and not tag.endswith("/>") and not tag.startswith("<div ")
    return lines


def _resource(resource: Json, out: list[str], namespace: str = "") -> None:
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in r4().resource_types:
        raise XmlError("what has no resourceType of R4 has no XML")
    out.append(f"<{name}{namespace}>")
    _children(resource, shape_of(name), out)
    out.append(f"</{name}>")


def _children(value: Json, shape: Shape, out: list[str]) -> None:
    orders = shape.orders
    try:
        names = sorted(value, key=orders.__getitem__)
    except KeyError as error:
        raise XmlError(f"{shape.name} has no element {str(error.args[0])[:64]!r}", shape.name) from None
    members = shape.members
    for name in names:
        child = members.get(name)
        if child is None:
            continue  # an attribute, or resourceType: written with the start tag
        item = value[name]
        kind = child.kind
        if kind == PRIMITIVE:
            if child.beside in value:
                if name != child.beside or child.member not in value:
                    _with_beside(child, value.get(child.member), value[child.beside], out)
            else:
                _plain(child.member, item, out)
        elif kind == NARRATIVE:
            if name == child.member:
                out.append(as_element(_string(item, child.member)))
        else:
            for one in item if type(item) is list else (item,):
                _element(child, one, out)


def _element(child: Child, item: Any, out: list[str]) -> None:
    name = child.member
    if type(item) is not dict:
        raise XmlError(f"the element {name} holds no element", name)
    if child.kind == WRAPPED:
        out.append(f"<{name}>")
        _resource(item, out)
    else:
        shape = shape_of(child.type)
        out.append(f"<{name}{_attributes(item, shape)}>")
        _children(item, shape, out)
    out.append(f"</{name}>")


def _attributes(item: Json, shape: Shape) -> str:
    text = ""
    for name in shape.attributes:
        if name in item:
            text += f' {name}="{escaped(_string(item[name], name))}"'
    return text


def _plain(name: str, item: Any, out: list[str]) -> None:
    if type(item) is str:
        out.append(f'<{name} value="{escaped(item)}"/>')
    elif type(item) is list:
        out += [f'<{name} value="{_text(one, name)}"/>' for one in item if one is not None]
    else:
        out.append(f'<{name} value="{_text(item, name)}"/>')


def _with_beside(child: Child, item: Any, beside: Any, out: list[str]) -> None:
    """Write values that have an id or extensions beside them, pair by pair."""
    items = item if type(item) is list else [item]
    rows = beside if type(beside) is list else [beside]
    for position in range(max(len(items), len(rows))):
        one = items[position] if position < len(items) else None
        row = rows[position] if position < len(rows) else None
        if row is None:
            if one is not None:
                _plain(child.member, one, out)
            continue
        _extended(child, one, row, out)


def _extended(child: Child, item: Any, beside: Any, out: list[str]) -> None:
    name = child.member
    if type(beside) is not dict:
        raise XmlError(f"the member _{name} holds no element", name)
    value = "" if item is None else f' value="{_text(item, name)}"'
    identity = f' id="{escaped(_string(beside["id"], name))}"' if "id" in beside else ""
    inner: list[str] = []
    _children(beside, shape_of(child.type), inner)
    out.append(f"<{name}{identity}{value}{'>' if inner else '/>'}")
    if inner:
        out += inner
        out.append(f"</{name}>")


def _text(value: Any, name: str) -> str:
    if type(value) is str:
        return escaped(value)
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, WrittenDecimal):
        return value.text
    if isinstance(value, int | float | Decimal):
        return str(value)
    raise XmlError(f"the element {name} holds no value", name)


def _string(value: Any, name: str) -> str:
    if type(value) is not str:
        raise XmlError(f"the element {name} holds no text", name)
    return value
