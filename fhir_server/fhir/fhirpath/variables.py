"""Environment variables: `%resource`, `%ucum`, `%vs-...` and those of the caller. https://hl7.org/fhir/R4/fhirpath.html#variables"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhir.fhirpath.elements import resource_node
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.nodes import BOOLEAN, DECIMAL, EMPTY, INTEGER, STRING, Collection, Node, string

_CONSTANTS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_PREFIXES = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}
_SCALARS = {bool: BOOLEAN, int: INTEGER, Decimal: DECIMAL, str: STRING}


def variable(name: str) -> tuple[Run, str]:
    """Return how to read a variable, and its type if that is known beforehand.

    The caller's variables may be nodes, lists of nodes, resources (a dict with resourceType) or plain scalars.
    """
    constant = _CONSTANTS.get(name)
    for prefix, base in _PREFIXES.items():
        if name.startswith(prefix):
            constant = base + name.removeprefix(prefix)
    if constant is not None:
        known = string(constant)
        return (lambda frame: known), STRING
    return _CONTEXTS.get(name) or _supplied(name), ""


_CONTEXTS: dict[str, Callable[[Frame], Collection]] = {
    "context": lambda frame: frame.top,
    "resource": lambda frame: [frame.resource] if frame.resource is not None else EMPTY,
    "rootResource": lambda frame: [frame.root] if frame.root is not None else EMPTY,
}


def _supplied(name: str) -> Run:
    def run(frame: Frame) -> Collection:
        if frame.variables is None or name not in frame.variables:
            raise FhirPathEvaluationError(f"there is no variable %{name}")
        return _collection(name, frame.variables[name])

    return run


def _collection(name: str, value: Any) -> Collection:
    if value is None:
        return EMPTY
    if isinstance(value, Node):
        return [value]
    if isinstance(value, list):
        return [node for item in value for node in _collection(name, item)]
    if type(value) is dict and "resourceType" in value:
        return [resource_node(value)]
    if type(value) not in _SCALARS:
        raise FhirPathEvaluationError(f"%{name} is not a node, a resource or a scalar")
    return [Node(value, _SCALARS[type(value)])]
