"""FHIR XML to JSON by the definitions, for test inputs that exist as XML only. https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from fhir_server.fhir.definitions import r4

_FHIR = "{http://hl7.org/fhir}"
_XHTML = "{http://www.w3.org/1999/xhtml}"


def resource_from_xml(text: str) -> dict[str, Any]:
    """Return the JSON of a resource in XML."""
    return _resource(ElementTree.fromstring(text))


def _resource(element: ElementTree.Element) -> dict[str, Any]:
    name = element.tag.removeprefix(_FHIR)
    return {"resourceType": name, **_members(element, name)}


def _members(element: ElementTree.Element, type_name: str) -> dict[str, Any]:
    definition = r4().types[type_name]
    known = {key: (one, ref.code) for one in definition.elements for key, ref in one.json_names().items()}
    result: dict[str, Any] = {}
    for attribute in ("id", "url"):
        if attribute in element.attrib:
            result[attribute] = element.attrib[attribute]
    for child in element:
        key = child.tag.removeprefix(_FHIR).removeprefix(_XHTML)
        one, own = known[key]
        value, beside = _value(child, own)
        _put(result, key, value, beside, one.repeats)
    return result


def _put(result: dict[str, Any], key: str, value: Any, beside: dict[str, Any], repeats: bool) -> None:
    if not repeats:
        result.update({key: value} if value is not None else {})
        result.update({f"_{key}": beside} if beside else {})
        return
    result.setdefault(key, []).append(value)
    if beside or f"_{key}" in result:
        row = result.setdefault(f"_{key}", [])
        row.extend([None] * (len(result[key]) - 1 - len(row)))
        row.append(beside or None)


def _value(element: ElementTree.Element, own: str) -> tuple[Any, dict[str, Any]]:
    """Return the value of an element and, for a primitive, its id and extensions."""
    if own == "xhtml":
        return ElementTree.tostring(element, encoding="unicode").replace("html:", "").replace(":html", ""), {}
    if own == "Resource":
        return _resource(element[0]), {}
    if r4().types[own].kind != "primitive":
        return _members(element, own), {}
    return _primitive(element.get("value"), own), _members(element, own) if len(
        element
    ) or "id" in element.attrib else {}


def _primitive(text: str | None, own: str) -> Any:
    if text is None or own not in ("boolean", "decimal", "integer", "positiveInt", "unsignedInt"):
        return text
    if own == "boolean":
        return text == "true"
    return Decimal(text) if own == "decimal" and "." in text else int(text)
