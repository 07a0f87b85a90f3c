"""What the official examples hold finds them. https://hl7.org/fhir/R4/downloads.html"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.json import decode
from fhir_server.search.matching.quantity import held_quantities
from fhir_server.search.parameters import Parameters
from fhir_server.search.values import texts, tokens

EXAMPLES = Path(__file__).parents[5] / "shared" / "data" / "r4-examples.tgz"
pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the official examples are not in ../shared/data/r4-examples.tgz"
)

_DATE = re.compile(r"\d{4}(-\d\d){0,2}(T.*)?")

Asked = Iterator[tuple[str, str]]


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    with tarfile.open(EXAMPLES) as archive:
        files = (archive.extractfile(m) for m in archive if m.isfile() and m.name.endswith(".json"))
        found = [decode(file.read()) for file in files if file]
    return [r for r in found if r.get("resourceType") in r4().resource_types]


def escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def token(node: Node) -> Asked:
    for system, code in tokens(node.value, node.type):
        yield "", escaped(code)
        yield "", f"{escaped(system)}|{escaped(code)}"
        if system:
            yield "", f"{escaped(system)}|"


def string(node: Node) -> Asked:
    for text in filter(str.strip, texts(node.value, node.type)):
        yield "", escaped(text)
        yield "exact", escaped(text)
        yield "contains", escaped(text[len(text) // 2 :].strip() or text)


def date(node: Node) -> Asked:
    if type(node.value) is str and _DATE.fullmatch(node.value):
        yield from (("", prefix + node.value) for prefix in ("", "ge", "le", "ap"))


def quantity(node: Node) -> Asked:
    for held in held_quantities(node.value, node.type):
        if held.low is not None and held.low == held.high:
            yield "", str(held.low)
            if held.code and held.system:
                yield "", f"ge{held.low}|{held.system}|{escaped(held.code)}"
            if held.code or held.unit:
                yield "", f"le{held.low}||{escaped(held.code or held.unit)}"


def reference(node: Node) -> Asked:
    literal = node.value if type(node.value) is str else node.value.get("reference", "#")
    if literal[:1] != "#":
        yield "", escaped(literal)


def uri(node: Node) -> Asked:
    if type(node.value) is str:
        yield "", escaped(node.value)


ASK: dict[str, Callable[[Node], Asked]] = {
    "token": token,
    "string": string,
    "date": date,
    "quantity": quantity,
    "reference": reference,
    "uri": uri,
}


@pytest.mark.parametrize(
    ("kind", "at_least"),
    [("token", 4000), ("string", 1200), ("date", 960), ("quantity", 150), ("reference", 1000), ("uri", 31)],
)
def test_a_resource_is_found_by_what_it_holds(
    parameters: Parameters, matches: Callable[..., bool], resources: list[dict[str, Any]], kind: str, at_least: int
) -> None:
    asked = 0
    for resource in resources:
        for parameter in parameters.of(resource["resourceType"]).values():
            if parameter.type != kind or not parameter.expression:
                continue
            nodes = parameter.path.evaluate(resource)
            assert matches(resource, f"{parameter.code}:missing", "false") is bool(nodes)
            for modifier, value in (ask for node in nodes for ask in ASK[kind](node)):
                name = f"{parameter.code}:{modifier}"
                assert matches(resource, name, value), (resource["resourceType"], resource.get("id"), name, value)
                asked += 1
    assert asked >= at_least
