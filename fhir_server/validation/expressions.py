"""FHIRPath in definitions: what nobody could evaluate is told before anybody relies on it.

https://hl7.org/fhir/R4/fhirpath.html. Constraints of a StructureDefinition, expressions of a SearchParameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.fhir import fhirpath
from fhir_server.validation.findings import Finding, Findings, Json, is_full, shown


def check_expressions(resource: Json) -> Findings | None:
    """Return the expressions of a definition that are no FHIRPath; None where all are, or where there are none."""
    found: Findings = []
    for path, expression in _expressions(resource):
        try:
            fhirpath.compile(expression)
        except fhirpath.FhirPathError as error:
            found.append(Finding("invalid", f"The expression is no FHIRPath: {shown(str(error))}", path))
            if is_full(found):
                break
    return found or None


def _expressions(resource: Json) -> Iterator[tuple[str, str]]:
    if resource.get("resourceType") == "SearchParameter" and type(resource.get("expression")) is str:
        yield ".expression", resource["expression"]
    if resource.get("resourceType") == "StructureDefinition":
        view: Any = resource.get("differential")
        for place, element in _rows(view, "element"):
            for index, constraint in _rows(element, "constraint"):
                expression = constraint.get("expression")
                if type(expression) is str:
                    yield f".differential.element[{place}].constraint[{index}].expression", expression


def _rows(holder: Any, name: str) -> Iterator[tuple[int, Json]]:
    rows = holder.get(name) if type(holder) is dict else None
    for place, row in enumerate(rows if type(rows) is list else ()):
        if type(row) is dict:
            yield place, row
