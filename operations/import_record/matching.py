"""Whose record it is: a patient of this server, or a new one.

https://hl7.org/fhir/R4/patient.html: identifiers are what systems agree on; names and birth dates are not looked at.
"""

from __future__ import annotations

from typing import Any

from fhir_server.api import Conflict, Issue, Json, OperationContext, Order, Unprocessable, local_reference
from operations.import_record.source import Item

URI_SYSTEM = "urn:ietf:rfc:3986"
MAX_CANDIDATES = 10


async def find_patient(context: OperationContext, patient: Item, earlier: Json | None) -> str:
    """Return the key of the patient here, or '' where there is none yet.

    The parameter `target` decides; then an earlier import of the same Bundle; then the identifiers. Raises Conflict
    naming the candidates when these are ambiguous, or are another patient's than the target.
    """
    target = await _target(context)
    if not target and earlier is not None:
        target = await _living(context, _patient_of(earlier))
        if target:
            return target
    candidates = await _with_identifiers(context, patient)
    others = [key for key in candidates if key != target]
    if others and (target or len(candidates) > 1):
        text = "{} has an identifier of the patient in the Bundle." + (f" The target is {target}." if target else "")
        raise Conflict(issues=[Issue("multiple-matches", text.format(k), patient.expression) for k in candidates])
    return target or next(iter(candidates), "")


def search_value(patient: Item) -> str:
    """Return the value of a search for any of the patient's identifiers, '' where it has none to be found by.

    The original URL, which an import adds to the identifiers, serves where there is no other.
    """
    pairs = [(i.get("system"), i.get("value")) for i in _identifiers(patient.resource)]
    usable = dict.fromkeys((s, v) for s, v in pairs if s and v)
    if not usable and patient.web_base:
        usable = {(URI_SYSTEM, patient.url): None}
    return ",".join(f"{_escaped(system)}|{_escaped(value)}" for system, value in usable)


def _identifiers(resource: Json) -> list[Any]:
    found: list[Any] = resource.get("identifier", [])
    return found


def _escaped(text: str) -> str:
    """Return the text as a value in a query. https://hl7.org/fhir/R4/search.html#escaping"""
    for special in "\\,|$":
        text = text.replace(special, "\\" + special)
    return text


async def _with_identifiers(context: OperationContext, patient: Item) -> list[str]:
    value = search_value(patient)
    if not value:
        return []
    where = await context.server.criterion("Patient", [("identifier", value)])
    page = await context.records.search(where, Order("key", descending=False), MAX_CANDIDATES)
    return [record.key for record in page.records]


async def _target(context: OperationContext) -> str:
    given = context.parameters.one("target")
    if given is None:
        return ""
    literal = given.get("reference") if isinstance(given, dict) else None
    relative = literal.removeprefix(context.server.base_url + "/") if isinstance(literal, str) else ""
    found = local_reference(relative)
    if found is None or found[0] != "Patient":
        raise Unprocessable("target must be a reference such as Patient/123.", expression="Parameters.parameter")
    key = await _living(context, f"Patient/{found[1]}")
    if not key:
        raise Unprocessable(f"The target Patient/{found[1]} does not exist.", expression="Parameters.parameter")
    return key


async def _living(context: OperationContext, key: str) -> str:
    found = await context.records.read(key) if key else None
    return key if found is not None and not found.deleted else ""


def _patient_of(provenance: Json) -> str:
    literals = [str(target.get("reference")) for target in provenance.get("target", ())]
    return next((literal for literal in literals if literal.startswith("Patient/")), "")
