"""Resources to validate: an imaginary patient of 2.5 KB and two observations of hers, right in US Core 6.1.0."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
PATIENT_PROFILE = f"{US_CORE}us-core-patient"
PRESSURE_PROFILE = f"{US_CORE}us-core-blood-pressure"
WEIGHT_PROFILE = f"{US_CORE}us-core-body-weight"
_RACES = "urn:oid:2.16.840.1.113883.6.238"
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def patient() -> Json:
    """Return a patient with what a registration desk asks for."""
    return {
        "resourceType": "Patient",
        "id": "benchmark",
        "text": {"status": "generated", "div": _DIV.format("<p><b>Abigail Alder</b>, born 1969-05-12</p>")},
        "extension": [_group("race", "2106-3", "White"), _group("ethnicity", "2186-5", "Not Hispanic or Latino"), _SEX],
        "identifier": [
            _identifier("MR", "Medical record number", "http://hospital.example/charts", "1032702"),
            _identifier("DL", "Driver's license number", "urn:oid:2.16.840.1.113883.4.3.25", "S99969890"),
            _identifier("PPN", "Passport number", "http://passports.example/numbers", "X64327891X"),
        ],
        "active": True,
        "name": [
            {"use": "official", "family": "Alder", "given": ["Abigail", "Anne"], "prefix": ["Ms."]},
            {"use": "old", "family": "Birch", "given": ["Abigail"], "period": {"end": "1994-08-20"}},
        ],
        "telecom": [
            {"system": "phone", "value": "555-555-2003", "use": "home", "rank": 1},
            {"system": "email", "value": "abigail.alder@example.com", "use": "home"},
        ],
        "gender": "female",
        "birthDate": "1969-05-12",
        "deceasedBoolean": False,
        "address": [
            {
                "use": "home",
                "line": ["49 Meadow Street"],
                "city": "Mounds",
                "state": "OK",
                "postalCode": "74047",
                "country": "US",
                "period": {"start": "2016-12-06"},
            }
        ],
        "maritalStatus": _concept("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", "Married"),
        "contact": [
            {
                "relationship": [_concept("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Next-of-Kin")],
                "name": {"family": "Alder", "given": ["Benjamin"]},
                "telecom": [{"system": "phone", "value": "555-555-2004"}],
            }
        ],
        "communication": [{"language": _concept("urn:ietf:bcp:47", "en-US", "English"), "preferred": True}],
        "generalPractitioner": [{"reference": "Practitioner/17", "display": "Dr. Cedar"}],
        "managingOrganization": {"reference": "Organization/3"},
    }


def pressure() -> Json:
    """Return a blood pressure: two components, each a slice of the profile."""
    parts = [(code, name, value) for code, name, value in (("8480-6", "Systolic", 109), ("8462-4", "Diastolic", 44))]
    return _vital("85354-9", "Blood pressure panel") | {
        "component": [
            {"code": _concept("http://loinc.org", code, f"{name} blood pressure"), "valueQuantity": _mercury(value)}
            for code, name, value in parts
        ]
    }


def weight() -> Json:
    """Return a body weight."""
    value = {"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    return _vital("29463-7", "Body weight") | {"valueQuantity": value}


_SEX: Json = {"url": f"{US_CORE}us-core-birthsex", "valueCode": "F"}


def _group(name: str, code: str, display: str) -> Json:
    category = {"url": "ombCategory", "valueCoding": {"system": _RACES, "code": code, "display": display}}
    return {"url": f"{US_CORE}us-core-{name}", "extension": [category, {"url": "text", "valueString": display}]}


def _identifier(code: str, display: str, system: str, value: str) -> Json:
    return {"use": "usual", "type": _concept(_TYPES, code, display), "system": system, "value": value}


def _concept(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _mercury(value: int) -> Json:
    return {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}


def _vital(code: str, display: str) -> Json:
    category = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "text": {"status": "generated", "div": _DIV.format(f"<p>{display}</p>")},
        "status": "final",
        "category": [_concept(category, "vital-signs", "Vital Signs")],
        "code": _concept("http://loinc.org", code, display),
        "subject": {"reference": "Patient/benchmark"},
        "effectiveDateTime": "2024-03-01T09:30:00+01:00",
    }
