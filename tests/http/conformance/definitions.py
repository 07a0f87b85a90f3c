"""Small profiles of our own making, as tenants post them: with a differential only."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
BASE = "http://example.org/fhir/StructureDefinition/"


def profile(name: str, resource_type: str, *elements: Json, base: str = "", version: str = "") -> Json:
    """Return a profile of a resource type, or of another profile."""
    made: Json = {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": BASE + name,
        "name": name.replace("-", "_").title(),
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": resource_type,
        "baseDefinition": base or f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        "derivation": "constraint",
        "differential": {"element": [{"id": e["path"], **e} for e in elements]},
    }
    return {**made, "version": version} if version else made


def named_patient() -> Json:
    """Return a profile of patients who have a family name and no photo."""
    return profile(
        "named-patient",
        "Patient",
        {"path": "Patient.name", "min": 1},
        {"path": "Patient.name.family", "min": 1},
        {"path": "Patient.photo", "max": "0"},
    )


def claiming(resource: Json, *names: str) -> Json:
    """Return the resource with profiles in its meta."""
    return {**resource, "meta": {"profile": [BASE + name for name in names]}}
