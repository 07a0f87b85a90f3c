"""The everyday queries that are timed. https://hl7.org/fhir/R4/search.html

The patients asked about are among the first 200, who are the same at every size, so that what is found by a patient
stays; what is found by a code, a common name or a time grows with the clinic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.benchmarks.patients import SYLLABLES
from tests.benchmarks.search.clinic import (
    DIAGNOSED,
    IDENTIFIERS,
    MEASURED,
    RARE,
    Record,
    identifier,
    patient_id,
    records,
)
from tests.benchmarks.search.loading import Tally

KNOWN = 200
TARGETS = 40
COMMON, UNCOMMON = SYLLABLES[8], SYLLABLES[8] + SYLLABLES[3][0]
YEARS = 3


@dataclass(frozen=True, slots=True)
class Query:
    """One row: what it is called, what is asked in turn, and how many match the first target where that is known.

    `deep` means not the first page of the target but the fiftieth and those after it.
    """

    name: str
    targets: tuple[str, ...]
    matches: int | None = None
    deep: bool = False


def queries(tally: Tally) -> list[Query]:
    """Return the rows for a clinic as large as has been loaded."""
    chance = random.Random(5)
    numbers = chance.sample(range(KNOWN), TARGETS)
    patients = [patient_id(n) for n in numbers]
    observed = [_an_observation(n, tally.each, chance) for n in numbers]
    anyone = [_token(IDENTIFIERS, identifier(n)) for n in chance.sample(range(tally.patients), TARGETS)]
    codes = chance.sample(MEASURED.codes[:TARGETS], TARGETS)
    common = f"code={_token(MEASURED.system, MEASURED.codes[0])}"
    often, seldom = (_token(DIAGNOSED.system, DIAGNOSED.codes[rank]) for rank in (0, 12))
    windows = [_day_of(record.written) for record in observed]
    count = tally.codes[MEASURED.codes[0]]
    return [
        Query("read by id", _each("Observation/{}", [o.resource["id"] for o in observed])),
        Query("identifier", _each("Patient?identifier={}", anyone), 1),
        Query("name prefix, 20 patients at any size", (f"Patient?name={RARE.lower()}&_count=20",), 20),
        Query("name prefix, 6 % of the patients", (f"Patient?name={COMMON}&_count=20",), tally.named(COMMON)),
        Query(
            "patient + category, newest first",
            _each("Observation?patient={}&category=laboratory&_sort=-date&_count=20", patients),
        ),
        Query("patient + code + date range", tuple(map(_around, observed))),
        Query(
            "code, newest first",
            _each("Observation?code={}&_sort=-date&_count=20", [_token(MEASURED.system, c) for c in codes]),
            tally.codes[codes[0]],
        ),
        Query("the commonest code, `_total=accurate`", (f"Observation?{common}&_total=accurate&_count=20",), count),
        Query("the commonest code, `_summary=count`", (f"Observation?{common}&_summary=count",), count),
        Query("`patient.name` + code, 20 patients", (f"Observation?patient.name={RARE.lower()}&{common}&_count=20",)),
        Query("`patient.name` + code, 0.4 % of them", (f"Observation?patient.name={UNCOMMON}&{common}&_count=20",)),
        Query("`subject:Patient.identifier`", _each("Observation?subject:Patient.identifier={}&_count=20", anyone)),
        Query("`_has` a diagnosis, 2 % of all", (f"Patient?_has:Condition:patient:code={seldom}&_count=20",)),
        Query("`_has` the commonest diagnosis, 11 %", (f"Patient?_has:Condition:patient:code={often}&_count=20",)),
        Query(
            "`_include` + `_revinclude`",
            _each(
                "Encounter?patient={}&_include=Encounter:patient&_revinclude=Observation:encounter&_count=10", patients
            ),
        ),
        Query("the commonest code, pages 50 to 59", (f"Observation?{common}&_sort=-date&_count=20",), count, deep=True),
        Query("`_lastUpdated`, one day", _each("Observation?{}&_count=20", windows)),
        Query("`_lastUpdated`, one day, in its order", _each("Observation?{}&_sort=_lastUpdated&_count=20", windows)),
    ]


def _each(pattern: str, values: list[str]) -> tuple[str, ...]:
    return tuple(pattern.format(value) for value in values)


def _token(system: str, code: str) -> str:
    return f"{system}%7C{code}"


def _an_observation(number: int, each: int, chance: random.Random) -> Record:
    return chance.choice([r for r in records(number, each) if r.resource["resourceType"] == "Observation"])


def _day_of(milliseconds: int) -> str:
    """Return the window of what was written on the same day."""
    day = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"_lastUpdated=ge{day:%Y-%m-%d}&_lastUpdated=lt{day + timedelta(days=1):%Y-%m-%d}"


def _around(record: Record) -> str:
    """Return the search for the patient's observations of the same code in the years around it."""
    observation = record.resource
    patient = observation["subject"]["reference"]
    code = _token(MEASURED.system, observation["code"]["coding"][0]["code"])
    year = int(observation["effectiveDateTime"][:4])
    years = f"date=ge{year - 1}-01-01&date=lt{year - 1 + YEARS}-01-01"
    return f"Observation?patient={patient}&code={code}&{years}&_count=20"
