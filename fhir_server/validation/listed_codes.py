"""Codes that stand apart from their system: those a ValueSet lists, and those a ConceptMap maps.

https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include.concept
"""

from __future__ import annotations

from typing import Any

from fhir_server.api.terminology import Coding
from fhir_server.validation.answers import Answers
from fhir_server.validation.findings import Findings, Json, below, refuse


def listed_codes(resource: Json, answers: Answers[Any]) -> Findings | None:
    """Return the codes that the system they are listed under does not have; None where all are right or unknown."""
    if resource.get("resourceType") == "ValueSet":
        return _of_value_set(resource, answers)
    return _of_concept_map(resource, answers) if resource.get("resourceType") == "ConceptMap" else None


def _of_value_set(resource: Json, answers: Answers[Any]) -> Findings | None:
    found: Findings | None = None
    compose = resource.get("compose")
    for name in ("include", "exclude"):
        for place, row in _rows(compose, name):
            concepts = _rows(row, "concept")
            if not _is_known(row, concepts, answers):
                continue
            for index, concept in concepts:
                problems = _unknown(row.get("system"), row.get("version"), concept.get("code"), answers)
                if problems:
                    found = below(f".compose.{name}[{place}].concept[{index}].code", problems, found)
    return found


def _is_known(row: Json, concepts: list[tuple[int, Json]], answers: Answers[Any]) -> bool:
    """Ask about one code first: where nobody knows the system there is no use in asking about thousands."""
    for _, concept in concepts:
        system, version, code = row.get("system"), row.get("version"), concept.get("code")
        if type(system) is str and type(code) is str:
            said = answers.concept(Coding(system, code, version if type(version) is str else ""))
            return said.holds is not None
    return False


def _of_concept_map(resource: Json, answers: Answers[Any]) -> Findings | None:
    found: Findings | None = None
    for place, group in _rows(resource, "group"):
        for index, element in _rows(group, "element"):
            where = f".group[{place}].element[{index}]"
            problems = _unknown(group.get("source"), group.get("sourceVersion"), element.get("code"), answers)
            found = below(f"{where}.code", problems, found) if problems else found
            for number, target in _rows(element, "target"):
                problems = _unknown(group.get("target"), group.get("targetVersion"), target.get("code"), answers)
                found = below(f"{where}.target[{number}].code", problems, found) if problems else found
    return found


def _unknown(system: Any, version: Any, code: Any, answers: Answers[Any]) -> Findings | None:
    if type(system) is not str or type(code) is not str:
        return None
    said = answers.concept(Coding(system, code, version if type(version) is str else ""))
    if said.holds is not False:
        return None
    return refuse("code-invalid", said.text or f"{system} has no code {code[:64]!r}.")


def _rows(holder: Any, name: str) -> list[tuple[int, Json]]:
    rows = holder.get(name) if type(holder) is dict else None
    return [(place, row) for place, row in enumerate(rows) if type(row) is dict] if type(rows) is list else []
