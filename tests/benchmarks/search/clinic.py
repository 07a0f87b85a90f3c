"""An imaginary clinic of any size: patient n is the same in a clinic of a thousand and of sixty-four thousand.

Ten years of visits, and in each of them an Encounter, a Condition or a MedicationRequest, and Observations. Codes and
family names are as uneven as in life: the commonest code makes 7 % of the observations, the rarest of 300 0.1 %.
https://hl7.org/fhir/R4/resourcelist.html. The codes are the clinic's own, for LOINC and SNOMED CT mean something.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from tests.benchmarks.patients import CATEGORIES, GIVEN, SYLLABLES

Json = dict[str, Any]

MEASUREMENTS, DISEASES, DRUGS = (f"https://clinic.example/{kind}" for kind in ("measurements", "diseases", "drugs"))
IDENTIFIERS = "https://clinic.example/patients"
ENCOUNTER_CLASSES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_CATEGORIES = "http://terminology.hl7.org/CodeSystem/condition-category"

BEGIN = datetime(2014, 1, 1, 8, tzinfo=UTC)
DAYS = 3650
VISIT = 10
# Patients up to a number have that many resources each, themselves included.
DENSITY = ((4_000, 100), (16_000, 20), (1_000_000, 8))
MOST_EACH = DENSITY[0][1]
# Twenty patients bear a name that no other name begins like, however large the clinic is.
RARE, RARE_BEARERS = "Quist", range(7, 200, 10)
_FAMILIES = tuple("".join(parts).title() for parts in itertools.product(SYLLABLES, repeat=3))
_CATEGORY_OF = ("laboratory", "vital-signs", "laboratory", "survey", "laboratory", "vital-signs", "exam", "laboratory")


class Record(NamedTuple):
    """A resource and when it was written, in milliseconds since 1970."""

    resource: Json
    written: int


class Codes:
    """Codes of which the first are the commonest: the frequency falls with the rank."""

    def __init__(self, system: str, letter: str, count: int, flat: int) -> None:
        """`flat` is how many ranks pass before the frequency has halved."""
        self.system = system
        self.codes = tuple(f"{letter}{1000 + rank}" for rank in range(count))
        self.weights = tuple(itertools.accumulate(1 / (rank + flat) for rank in range(count)))

    def some(self, chance: random.Random, count: int) -> list[str]:
        """Return codes as often as they occur."""
        return chance.choices(self.codes, cum_weights=self.weights, k=count)


MEASURED = Codes(MEASUREMENTS, "m", 300, 3)
DIAGNOSED = Codes(DISEASES, "d", 120, 2)
PRESCRIBED = Codes(DRUGS, "p", 150, 4)
_NAMES = tuple(itertools.accumulate(1 / (rank + 40) for rank in range(len(_FAMILIES))))
# Neither the order of the syllables nor that of the alphabet is that of the frequencies.
_BY_FREQUENCY = tuple(random.Random(1).sample(_FAMILIES, len(_FAMILIES)))


def size_of(number: int, each: int = MOST_EACH) -> int:
    """Return how many resources a patient has, at most `each`."""
    return min(next(size for below, size in DENSITY if number < below), each)


def patient_id(number: int) -> str:
    """Return the id of a patient."""
    return _id(random.Random(number))


def records(number: int, each: int = MOST_EACH) -> Iterator[Record]:
    """Yield the patient of a number and at most `each` resources about them, themselves included, in order of time."""
    chance = random.Random(number)
    key = f"Patient/{_id(chance)}"
    yield Record(_patient(key, number, chance), _milliseconds(BEGIN))
    left = size_of(number, each) - 1
    visits = -(-left // VISIT)
    for visit in range(visits):
        day = (visit + chance.random()) * DAYS / visits
        start = BEGIN + timedelta(days=int(day), minutes=chance.randrange(600))
        yield from _visit(key, start, visit, min(VISIT, left - visit * VISIT), chance)


def category_of(code: str) -> str:
    """Return the category that the observations of a code have."""
    return _CATEGORY_OF[int(code[1:]) % len(_CATEGORY_OF)]


def _visit(subject: str, start: datetime, number: int, size: int, chance: random.Random) -> Iterator[Record]:
    encounter = _id(chance)
    written = _milliseconds(start) + chance.randrange(3_600_000, 86_400_000)
    context = {"subject": {"reference": subject}, "encounter": {"reference": f"Encounter/{encounter}"}}
    yield Record(_encounter(encounter, subject, start, chance), written)
    if size > 1:
        second = _medication if number % 2 else _condition
        yield Record(second(context, start, chance), written)
    for place, code in enumerate(MEASURED.some(chance, size - 2) if size > 2 else ()):
        yield Record(_observation(context, code, start + timedelta(minutes=5 * place), chance), written + place)


def _patient(key: str, number: int, chance: random.Random) -> Json:
    family = chance.choices(_BY_FREQUENCY, cum_weights=_NAMES)[0]
    if number in RARE_BEARERS:
        family = RARE + family.lower()
    return {
        "resourceType": "Patient",
        "id": key.partition("/")[2],
        "identifier": [{"system": IDENTIFIERS, "value": identifier(number)}],
        "active": True,
        "name": [{"use": "official", "family": family, "given": chance.sample(GIVEN, 2)}],
        "telecom": [{"system": "phone", "value": f"555-{chance.randrange(10_000_000):07d}", "use": "home"}],
        "gender": chance.choice(("female", "male")),
        "birthDate": f"{chance.randrange(1935, 2013)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        "address": [{"line": [f"{number} Example Road"], "city": _FAMILIES[number % 97], "country": "XX"}],
    }


def identifier(number: int) -> str:
    """Return the value of a patient's identifier."""
    return f"C{number:07d}"


def _encounter(ident: str, subject: str, start: datetime, chance: random.Random) -> Json:
    end = start + timedelta(minutes=chance.randrange(10, 120))
    return {
        "resourceType": "Encounter",
        "id": ident,
        "status": "finished",
        "class": {"system": ENCOUNTER_CLASSES, "code": chance.choice(("AMB", "AMB", "AMB", "EMER", "IMP"))},
        "subject": {"reference": subject},
        "period": {"start": _text(start), "end": _text(end)},
    }


def _condition(context: Json, start: datetime, chance: random.Random) -> Json:
    return {
        "resourceType": "Condition",
        "id": _id(chance),
        "clinicalStatus": _concept(CLINICAL, chance.choice(("active", "resolved"))),
        "category": [_concept(CONDITION_CATEGORIES, "encounter-diagnosis")],
        "code": _concept(DISEASES, DIAGNOSED.some(chance, 1)[0]),
        **context,
        "onsetDateTime": _text(start - timedelta(days=chance.randrange(30)))[:10],
        "recordedDate": _text(start),
    }


def _medication(context: Json, start: datetime, chance: random.Random) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": _id(chance),
        "status": chance.choice(("active", "completed", "completed")),
        "intent": "order",
        "medicationCodeableConcept": _concept(DRUGS, PRESCRIBED.some(chance, 1)[0]),
        **context,
        "authoredOn": _text(start),
        "dosageInstruction": [{"text": "one each morning"}],
    }


def _observation(context: Json, code: str, when: datetime, chance: random.Random) -> Json:
    return {
        "resourceType": "Observation",
        "id": _id(chance),
        "status": "final",
        "category": [_concept(CATEGORIES, category_of(code))],
        "code": {**_concept(MEASUREMENTS, code), "text": f"Measurement {code}"},
        **context,
        "effectiveDateTime": _text(when),
        "issued": _text(when + timedelta(hours=3)),
        "valueQuantity": {
            "value": Decimal(chance.randrange(10, 3000)) / 10,
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
    }


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _id(chance: random.Random) -> str:
    bits = f"{chance.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"


def _text(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)
