"""Reads the FHIRPath suite of the specification: an XML file of expressions, inputs and expected results."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fhir_server.fhir.fhirpath import Environment, Node, compile
from fhir_server.fhir.fhirpath.quantities import written
from fhir_server.fhir.fhirpath.types import system_types
from fhir_server.fhir.json import decode_stored
from tests.conformance.fhirpath.xml_to_json import resource_from_xml

_HERE = Path(__file__).parent
SUITE = Path("../shared/data/fhir-test-cases/r4")
SUITE_FILE = SUITE / "fhirpath" / "tests-fhir-r4.xml"
_CLOCK = Environment(now=lambda: datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC))


@dataclass(frozen=True)
class Case:
    """One case. `error` is the kind of failure expected, empty if it should succeed."""

    name: str
    expression: str
    input: str
    error: str
    is_predicate: bool
    outputs: tuple[tuple[str, str], ...]


def cases() -> list[Case]:
    """Return every case of the suite, in its order; names that repeat within a group get a number."""
    if not SUITE_FILE.exists():
        return []
    seen: Counter[str] = Counter()
    found = []
    for group in ElementTree.parse(SUITE_FILE).getroot().iter("group"):
        for test in group.iter("test"):
            name = f"{group.get('name')}/{test.get('name')}"
            seen[name] += 1
            found.append(_case(test, name if seen[name] == 1 else f"{name}#{seen[name]}"))
    return found


def _case(test: ElementTree.Element, name: str) -> Case:
    expression = test.find("expression")
    assert expression is not None
    return Case(
        name,
        expression.text or "",
        test.get("inputfile", "patient-example.xml"),
        expression.get("invalid", ""),
        test.get("predicate") == "true",
        tuple((one.get("type", ""), one.text or "") for one in test.findall("output")),
    )


@cache
def read_input(name: str) -> dict[str, Any]:
    """Return an input: of the suite, XML before JSON, or the project's own where the suite's is not there."""
    for folder in (SUITE / "examples", _HERE / "inputs"):
        if (folder / name).suffix == ".xml" and (folder / name).exists():
            return resource_from_xml((folder / name).read_text(encoding="utf-8"))
        as_json = (folder / name).with_suffix(".json")
        if as_json.exists():
            found: dict[str, Any] = decode_stored(as_json.read_bytes())
            return found
    raise FileNotFoundError(name)


def evaluate(case: Case, *, is_static: bool) -> list[Node]:
    """Return the result; `is_static` with the type of the input known beforehand and all names checked."""
    resource = read_input(case.input)
    root_type = resource["resourceType"] if is_static else None
    return compile(case.expression, root_type, strict=is_static).evaluate(resource, environment=_CLOCK)


def complaint(case: Case, result: list[Node]) -> str:
    """Return what is wrong with a result, or an empty string."""
    if case.is_predicate:
        truth = [str(bool(result)).lower()]
        return "" if [text for _, text in case.outputs] == truth else f"exists is {truth}"
    if len(result) != len(case.outputs):
        return f"{len(result)} items instead of {len(case.outputs)}"
    if case.name == "testBasics/testExpressions" or case.name.endswith("/testExpressions"):
        result = sorted(result, key=lambda node: str(node.value))
        case = Case(case.name, "", "", "", False, tuple(sorted(case.outputs, key=lambda output: output[1])))
    for node, (kind, text) in zip(result, case.outputs, strict=True):
        if not _has_type(node, kind) or not _has_value(node, kind, text):
            return f"{node} instead of {kind} {text}"
    return ""


def _has_type(node: Node, kind: str) -> bool:
    if kind in ("", node.type):
        return True
    return node.type.startswith("System.") and node.type == system_types().get(kind, f"System.{kind}")


def _has_value(node: Node, kind: str, text: str) -> bool:
    if isinstance(node.value, bool):
        return str(node.value).lower() == text
    if isinstance(node.value, int | Decimal):
        return str(node.value) == text if kind == "" else Decimal(node.value) == Decimal(text)
    if system_types().get(node.type) == "System.Quantity":
        return written(node.value) == text
    prefix = {"System.Date": "@", "System.DateTime": "@", "System.Time": "@T"}.get(
        system_types().get(node.type, ""), ""
    )
    return text in (f"{prefix}{node.value}", node.value if kind not in ("date", "dateTime") else None)
