"""The patch cases of the FHIR test cases, https://github.com/FHIR/fhir-test-cases (r4/patch).

unsupported.json names the cases that do not pass, each with the reason; one that passes after all fails here too.
"""

from __future__ import annotations

import copy
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element as XmlElement

import pytest

from fhir_server.fhir.definitions import Element, r4
from fhir_server.fhir.json import decode
from fhir_server.fhir.patch import PatchError, PatchTestFailed, apply_fhirpath_patch, apply_json_patch

HERE = Path(__file__).parent
CASES = HERE.parents[2].parent / "shared/data/fhir-test-cases/r4/patch"
UNSUPPORTED: dict[str, str] = json.loads((HERE / "unsupported.json").read_text())

XHTML = "{http://www.w3.org/1999/xhtml}"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/data/fhir-test-cases")


def json_cases() -> list[Any]:
    if not CASES.is_dir():
        return []
    cases = decode((CASES / "json-patch-tests.json").read_bytes())
    return [pytest.param(case, id=case["comment"], marks=marks(case["comment"])) for case in cases]


def fhirpath_cases() -> list[Any]:
    if not CASES.is_dir():
        return []
    cases = ElementTree.parse(CASES / "fhir-patch-tests.xml").findall("case")
    return [pytest.param(case, id=case.attrib["name"], marks=marks(case.attrib["name"])) for case in cases]


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=True, reason=UNSUPPORTED[name])] if name in UNSUPPORTED else []


@pytest.mark.parametrize("case", json_cases())
def test_json_patch(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["doc"])
    if "error" in case:
        expected = PatchTestFailed if case["patch"][-1]["op"] == "test" else PatchError
        with pytest.raises(expected) as caught:
            apply_json_patch(case["doc"], case["patch"])
        assert type(caught.value) is expected
    else:
        assert apply_json_patch(case["doc"], case["patch"]) == case["expected"]
    assert case["doc"] == before


@pytest.mark.parametrize("case", fhirpath_cases())
def test_fhirpath_patch(case: XmlElement) -> None:
    before, patch = resource_in(case, "input"), resource_in(case, "diff")
    kept = copy.deepcopy(before)
    if case.find("error") is not None:
        with pytest.raises(PatchError):
            apply_fhirpath_patch(before, patch)
    else:
        after = apply_fhirpath_patch(before, patch)
        assert without_blanks(after) == without_blanks(resource_in(case, "output"))
    assert before == kept


def test_the_list_names_cases_that_exist() -> None:
    names = {parameters.id for parameters in json_cases() + fhirpath_cases()}
    assert set(UNSUPPORTED) <= names


def without_blanks(value: Any) -> Any:
    """Return the value with the blank space of its narrative made even: the cases differ in indentation."""
    if isinstance(value, dict):
        return {name: without_blanks(child) for name, child in value.items()}
    if isinstance(value, list):
        return [without_blanks(child) for child in value]
    if isinstance(value, str) and value.startswith("<div"):
        return re.sub(r"\s*(<[^>]*>)\s*|\s+", lambda blank: blank[1] or " ", value)
    return value


# Resources in XML turned into JSON, https://hl7.org/fhir/R4/xml.html


def resource_in(case: XmlElement, name: str) -> dict[str, Any]:
    holder = case.find(name)
    assert holder is not None
    return resource(holder[0])


def resource(node: XmlElement) -> dict[str, Any]:
    """Return the resource that the XML element is."""
    name = local_name(node)
    return {"resourceType": name, **members(node, name)}


def members(node: XmlElement, type_name: str) -> dict[str, Any]:
    """Return the JSON members of an element of a complex type."""
    found: dict[str, Any] = dict(attributes(node))
    for child in node:
        element, code = definition(type_name, local_name(child))
        value, sibling = content(child, code)
        name = local_name(child)
        if not element.repeats:
            found |= {key: part for key, part in ((name, value), (f"_{name}", sibling)) if part is not None}
        elif code in r4().types and r4().types[code].kind == "primitive":
            found.setdefault(name, []).append(value)
            found.setdefault(f"_{name}", []).append(sibling)
        else:
            found.setdefault(name, []).append(value)
    return {name: value for name, value in found.items() if not is_blank(value)}


def content(node: XmlElement, code: str) -> tuple[Any, dict[str, Any] | None]:
    """Return the value of an element and, for a primitive, its id and extensions."""
    if node.tag == f"{XHTML}div":
        return ElementTree.tostring(node, encoding="unicode", default_namespace=XHTML[1:-1]), None
    kind = r4().types[code].kind
    if kind == "resource":
        return resource(node[0]), None
    if kind != "primitive":
        return members(node, code), None
    return primitive(node.get("value"), code), members(node, "Element") or None


def primitive(text: str | None, code: str) -> Any:
    if text is None or code not in ("boolean", "integer", "positiveInt", "unsignedInt", "decimal"):
        return text
    if code == "boolean":
        return {"true": True, "false": False}[text]
    return Decimal(text) if code == "decimal" else int(text)


def definition(type_name: str, name: str) -> tuple[Element, str]:
    for element in r4().types[type_name].elements:
        names = element.json_names()
        if name in names:
            return element, names[name].code
    raise KeyError(f"{type_name}.{name}")


def attributes(node: XmlElement) -> list[tuple[str, str]]:
    return [(name, node.attrib[name]) for name in ("id", "url") if name in node.attrib]


def local_name(node: XmlElement) -> str:
    return node.tag.rpartition("}")[2]


def is_blank(value: Any) -> bool:
    return isinstance(value, list) and all(part is None for part in value)
