"""Bindings of every strength, asked of terminology. https://hl7.org/fhir/R4/terminologies.html#strength

A code outside a required binding is an error. Outside an extensible one it is a warning, because nobody but a human can
say whether the value set covers the concept; outside a preferred one it is information. What cannot be told is never an
error.
"""

from __future__ import annotations

from typing import Any

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.findings import Finding, Findings, shown
from fhir_server.validation.profiles.codes import codings, memberships
from fhir_server.validation.profiles.rules import Advice, Rule
from fhir_server.validation.profiles.run import Run

Json = dict[str, Any]

BOUND = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "uri", "string", "id", "url", "canonical", "oid"})
_MAXIMUM = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_SEVERITIES = {"required": "error", "extensible": "warning", "preferred": "information"}
_MOST_SHOWN = 3


def binding_rules(definition: Json, kind: str, title: str, by: str) -> list[Rule]:
    """Return the rules of an element's binding for values of one type: its own, and that of its maximum value set."""
    binding = definition.get("binding")
    if binding is None or kind not in BOUND:
        return []
    found: list[Rule] = []
    strength, value_set = binding.get("strength"), binding.get("valueSet")
    if type(value_set) is str and strength in _SEVERITIES:
        found.append(_bound(value_set, str(strength), kind, title, by))
    largest = maximum(binding)
    if largest and not (largest == value_set and strength == "required"):
        found.append(_bound(largest, "required", kind, title, by))
    return found


def maximum(binding: Json) -> str:
    """Return the value set that codes may not be outside of, whatever the strength; empty where none is named."""
    for row in binding.get("extension", ()):
        if row.get("url") == _MAXIMUM:
            return str(row.get("valueCanonical") or row.get("valueUri") or "")
    return ""


def _bound(value_set: str, strength: str, kind: str, title: str, by: str) -> Rule:
    severity = _SEVERITIES[strength]
    name = f"the value set {value_set} ({strength})"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if value is None:
            return None
        rows = codings(value, kind)
        if not rows:
            return _no_code(value, severity, f"{title} has no code, and is bound to {name}{by}")
        run.spend(5 * len(rows))
        unknown: Membership | None = None
        for answer in memberships(run.answers, value_set, rows, kind):
            if answer.holds:
                return _displayed(answer, title) if run.advice and answer.display else None
            if answer.holds is None and unknown is None:
                unknown = answer
        if unknown is not None:
            return _untold(unknown, strength, f"{title} is bound to {name}", by) if run.advice else None
        text = f"{title}: {_listed(rows)} {'is' if len(rows) == 1 else 'are'} not in {name}{by}"
        return [Finding("code-invalid", text, severity=severity)]

    return check if severity == "error" else Advice(check)


def _no_code(value: Any, severity: str, text: str) -> Findings | None:
    """Text alone is in no value set; a value left out with a reason, and an amount without a unit, are not asked."""
    if type(value) is not dict or value.keys().isdisjoint(("code", "coding", "text")):
        return None
    return [Finding("code-invalid", text, severity=severity)]


def _displayed(found: Membership, title: str) -> Findings:
    text = f"{title}: the display is not that of the code, which is {found.display!r}."
    return [Finding("code-invalid", text, severity="warning")]


def _untold(found: Membership, strength: str, text: str, by: str) -> Findings:
    severity = "warning" if strength == "required" else "information"
    why = f" {found.text}" if found.text else ""
    return [Finding("code-invalid", f"{text}, which could not be checked{by}{why}", severity=severity)]


def _listed(rows: list[Coding]) -> str:
    texts = [shown(f"{row.system}|{row.code}" if row.system else row.code) for row in rows[:_MOST_SHOWN]]
    return ", ".join(texts) + (" ..." if len(rows) > _MOST_SHOWN else "")
