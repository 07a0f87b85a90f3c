"""Imaginary patients, the same every time: a Patient and its laboratory and vital-sign Observations in a Bundle.

https://hl7.org/fhir/R4/http.html#transaction. The measurements are made of these alone, so that they run anywhere.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

Json = dict[str, Any]

LOINC = "http://loinc.org"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
OBSERVATIONS = 110
# code, what it is, unit, UCUM unit, least and most tenths of the unit, category
KINDS = (
    ("8302-2", "Body height", "cm", "cm", 1500, 1950, "vital-signs"),
    ("29463-7", "Body weight", "kg", "kg", 450, 1200, "vital-signs"),
    ("8867-4", "Heart rate", "beats/minute", "/min", 500, 1200, "vital-signs"),
    ("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", "mg/dL", 650, 1900, "laboratory"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", 100, 180, "laboratory"),
)
GIVEN = ("Alba", "Bruno", "Carmen", "Dario", "Edda", "Falk", "Greta", "Hugo", "Ines", "Jonas")
SYLLABLES = ("bar", "cel", "dun", "fer", "gol", "hin", "kav", "lor", "mes", "nor", "pil", "sav", "tor", "wen")
_BEGIN = datetime(2004, 1, 5, 8, tzinfo=UTC)


def transaction(number: int) -> Json:
    """Return the transaction Bundle that creates patient `number` with its observations."""
    chance = random.Random(number)
    patient = _urn(chance)
    entries = [_entry(patient, "Patient", _patient(number, chance))]
    for place in range(OBSERVATIONS):
        entries.append(_entry(_urn(chance), "Observation", observation(patient, place, chance)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def observation(subject: str, place: int, chance: random.Random) -> Json:
    """Return the observation at a place in a patient's life; the kinds take turns, a few weeks apart."""
    code, display, unit, ucum, least, most, category = KINDS[place % len(KINDS)]
    when = _BEGIN + timedelta(days=45 * place + chance.randrange(30), minutes=chance.randrange(600))
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORIES, "code": category, "display": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
        "subject": {"reference": subject},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "issued": (when + timedelta(hours=3)).isoformat(timespec="milliseconds"),
        "valueQuantity": {
            "value": chance.randrange(least, most) / 10,
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": ucum,
        },
    }


def _patient(number: int, chance: random.Random) -> Json:
    family = "".join(chance.choices(SYLLABLES, k=3)).title()
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "https://clinic.example/patients", "value": f"B{number:06d}"}],
        "name": [{"use": "official", "family": family, "given": [chance.choice(GIVEN)]}],
        "telecom": [{"system": "phone", "value": f"555-{chance.randrange(10_000):04d}", "use": "home"}],
        "gender": chance.choice(("female", "male")),
        "birthDate": f"{chance.randrange(1935, 2003)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        "address": [{"line": [f"{number} Example Road"], "city": family, "country": "XX"}],
    }


def _entry(url: str, resource_type: str, resource: Json) -> Json:
    return {"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": resource_type}}


def _urn(chance: random.Random) -> str:
    return f"urn:uuid:{UUID(int=chance.getrandbits(128), version=4)}"
