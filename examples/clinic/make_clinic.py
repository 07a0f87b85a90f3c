"""Make the records of an imaginary clinic as transaction Bundles: people.json becomes bundles/*.json.

https://hl7.org/fhir/R4/http.html#transaction. Run it with `python examples/clinic/make_clinic.py`; the same input gives
the same files. Nobody in it exists. Every entry is a PUT under a readable id, so loading it twice changes nothing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.fhir.json import encode

HERE = Path(__file__).parent
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
ATC, CVX = "http://www.whocc.no/atc", "http://hl7.org/fhir/sid/cvx"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
RECORD_NUMBER = "https://clinic.example/identifiers/record-number"
STAFF_NUMBER = "https://clinic.example/identifiers/staff-number"
CLINIC = {"reference": "Organization/ellery-clinic", "display": "Ellery Community Clinic"}
VISITS = ("2026-03-10", "2026-06-09", "2026-09-15")
STAFF = (
    ("ines-lindqvist", "Lindqvist", "Inês", "female", "59058001", "General physician", "harbour"),
    ("tomas-herrera", "Herrera", "Tomás", "male", "82296001", "Pediatrician", "harbour"),
    ("wanjiru-mwangi", "Mwangi", "Wanjirũ", "female", "224535009", "Registered nurse", "hill"),
)
LOCATIONS = (("harbour", "Harbour Street surgery", "2 Harbour Street"), ("hill", "Hill House", "81 Hill Road"))

Json = dict[str, Any]


def bundles() -> Iterator[tuple[str, Json]]:
    """Yield (file name, Bundle): the clinic itself, then one for each patient."""
    yield "00-clinic.json", _transaction(list(_clinic()))
    people = json.loads((HERE / "people.json").read_text(encoding="utf-8"))
    for number, person in enumerate(people, start=1):
        yield f"{number:02}-{person['id']}.json", _transaction(list(_record(person, number)))


def main() -> None:
    """Write the files, and remove those that are no longer made."""
    folder = HERE / "bundles"
    made = {name: msgspec.json.format(encode(bundle), indent=1) + b"\n" for name, bundle in bundles()}
    for stale in {path.name for path in folder.glob("*.json")} - made.keys():
        (folder / stale).unlink()
    for name, raw in made.items():
        (folder / name).write_bytes(raw)


def _transaction(resources: list[Json]) -> Json:
    entries = []
    for resource in resources:
        url = f"{resource['resourceType']}/{resource['id']}"
        entries.append({"resource": resource, "request": {"method": "PUT", "url": url}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _clinic() -> Iterator[Json]:
    phone = [{"system": "phone", "value": "+1 207 555 0100"}]
    yield {
        **_resource("Organization", "ellery-clinic"),
        "active": True,
        "type": [_concept(f"{TERMINOLOGY}/organization-type", "prov", "Healthcare Provider")],
        "name": CLINIC["display"],
        "telecom": phone,
        "address": [_address(["2 Harbour Street", "Port Ellery", "ME", "04999", "US"])],
    }
    for key, name, street in LOCATIONS:
        yield {
            **_resource("Location", key),
            "status": "active",
            "name": name,
            "address": _address([street, "Port Ellery", "ME", "04999", "US"]),
            "managingOrganization": CLINIC,
        }
    for number, (key, family, given, gender, code, display, location) in enumerate(STAFF, start=1):
        yield {
            **_resource("Practitioner", key),
            "identifier": [{"system": STAFF_NUMBER, "value": f"S-{number:03}"}],
            "active": True,
            "name": [{"family": family, "given": [given]}],
            "gender": gender,
        }
        yield {
            **_resource("PractitionerRole", f"{key}-role"),
            "active": True,
            "practitioner": {"reference": f"Practitioner/{key}", "display": f"{given} {family}"},
            "organization": CLINIC,
            "code": [_concept(SNOMED, code, display)],
            "location": [{"reference": f"Location/{location}"}],
            "telecom": phone,
        }


def _record(person: Json, number: int) -> Iterator[Json]:
    yield _patient(person, number)
    encounters = [_encounter(person, visit) for visit in range(len(VISITS))]
    yield from encounters
    yield from (_condition(person, number, row) for number, row in enumerate(person["conditions"], start=1))
    for visit in range(len(VISITS)):
        yield from _vitals(person, visit)
        yield from (_lab(person, visit, row) for row in person["labs"])
    yield _allergy(person)
    yield from (_medication(person, number, row) for number, row in enumerate(person["medications"], start=1))
    yield from (_immunization(person, number, row) for number, row in enumerate(person["immunizations"], start=1))
    yield _procedure(person)
    if number == 1:
        yield _document(person)
    yield _appointment(person, number)


def _patient(person: Json, number: int) -> Json:
    return {
        **_resource("Patient", person["id"]),
        "identifier": [{"use": "usual", "system": RECORD_NUMBER, "value": f"EC-{number:05}"}],
        "active": True,
        "name": [{"use": "official", "family": person["family"], "given": person["given"]}],
        "telecom": [{"system": "phone", "value": person["phone"], "use": "mobile"}],
        "gender": person["gender"],
        "birthDate": person["born"],
        "address": [_address(person["address"])],
        "communication": [{"language": _concept("urn:ietf:bcp:47", person["language"]), "preferred": True}],
        "generalPractitioner": [{"reference": f"Practitioner/{person['gp']}"}],
        "managingOrganization": CLINIC,
    }


def _encounter(person: Json, visit: int) -> Json:
    return {
        **_resource("Encounter", _visit_id(person, visit)),
        "status": "finished",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "subject": _subject(person),
        "participant": [{"individual": {"reference": f"Practitioner/{person['gp']}"}}],
        "period": {"start": _moment(visit, 9, 0), "end": _moment(visit, 9, 25)},
        "location": [{"location": {"reference": "Location/harbour"}}],
        "serviceProvider": CLINIC,
    }


def _condition(person: Json, number: int, row: list[str]) -> Json:
    code, display, onset = row
    return {
        **_resource("Condition", f"{person['id']}-condition-{number}"),
        "clinicalStatus": _concept(f"{TERMINOLOGY}/condition-clinical", "active"),
        "verificationStatus": _concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
        "category": [_concept(f"{TERMINOLOGY}/condition-category", "problem-list-item", "Problem List Item")],
        "code": _concept(SNOMED, code, display),
        "subject": _subject(person),
        "onsetDateTime": onset,
        "recorder": {"reference": f"Practitioner/{person['gp']}"},
    }


def _vitals(person: Json, visit: int) -> Iterator[Json]:
    start = person["vitals"]
    weight, height = Decimal(start["weight"]) - Decimal("0.7") * visit, Decimal(start["height"])
    pressure = _observation(person, visit, "bp", "vital-signs", "85354-9", "Blood pressure panel")
    pressure["component"] = [
        {"code": _concept(LOINC, "8480-6", "Systolic"), "valueQuantity": _mmhg(start["systolic"] - 4 * visit)},
        {"code": _concept(LOINC, "8462-4", "Diastolic"), "valueQuantity": _mmhg(start["diastolic"] - 2 * visit)},
    ]
    yield pressure
    rate = Decimal(start["rate"] + visit)
    index = (weight / (height / 100) ** 2).quantize(Decimal("0.1"))
    rows: list[tuple[str, str, str, Decimal, str, str]] = [
        ("rate", "8867-4", "Heart rate", rate, "beats/minute", "/min"),
        ("weight", "29463-7", "Body weight", weight, "kg", "kg"),
        ("bmi", "39156-5", "Body mass index", index, "kg/m2", "kg/m2"),
    ]
    if visit == 0:
        rows.append(("height", "8302-2", "Body height", height, "cm", "cm"))
    for key, code, display, value, unit, ucum in rows:
        measured = _observation(person, visit, key, "vital-signs", code, display)
        yield {**measured, "valueQuantity": _quantity(value, unit, ucum)}


def _lab(person: Json, visit: int, row: list[str]) -> Json:
    code, display, value, unit, step = row
    result = _observation(person, visit, f"lab-{code}", "laboratory", code, display)
    return {**result, "valueQuantity": _quantity(Decimal(value) + Decimal(step) * visit, unit, unit)}


def _observation(person: Json, visit: int, key: str, category: str, code: str, display: str) -> Json:
    return {
        **_resource("Observation", f"{person['id']}-{key}-{visit + 1}"),
        "status": "final",
        "category": [_concept(f"{TERMINOLOGY}/observation-category", category)],
        "code": _concept(LOINC, code, display),
        "subject": _subject(person),
        "encounter": {"reference": f"Encounter/{_visit_id(person, visit)}"},
        "effectiveDateTime": _moment(visit, 9, 5),
        "performer": [{"reference": f"Practitioner/{person['gp']}"}],
    }


def _allergy(person: Json) -> Json:
    code, display, criticality, category = person["allergy"]
    return {
        **_resource("AllergyIntolerance", f"{person['id']}-allergy"),
        "clinicalStatus": _concept(f"{TERMINOLOGY}/allergyintolerance-clinical", "active"),
        "verificationStatus": _concept(f"{TERMINOLOGY}/allergyintolerance-verification", "confirmed"),
        "type": "allergy",
        "category": [category],
        "criticality": criticality,
        "code": _concept(SNOMED, code, display),
        "patient": _subject(person),
    }


def _medication(person: Json, number: int, row: list[Any]) -> Json:
    code, display, text, times = row
    return {
        **_resource("MedicationRequest", f"{person['id']}-medication-{number}"),
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": _concept(ATC, code, display),
        "subject": _subject(person),
        "encounter": {"reference": f"Encounter/{_visit_id(person, 0)}"},
        "authoredOn": VISITS[0],
        "requester": {"reference": f"Practitioner/{person['gp']}"},
        "dosageInstruction": [
            {"text": text, "timing": {"repeat": {"frequency": times, "period": Decimal(1), "periodUnit": "d"}}}
        ],
    }


def _immunization(person: Json, number: int, row: list[str]) -> Json:
    code, display = row
    return {
        **_resource("Immunization", f"{person['id']}-immunization-{number}"),
        "status": "completed",
        "vaccineCode": _concept(CVX, code, display),
        "patient": _subject(person),
        "occurrenceDateTime": f"{2026 - number}-10-0{number}",
        "primarySource": True,
        "lotNumber": f"DEMO-{code}-{number}",
        "performer": [{"actor": {"reference": "Practitioner/wanjiru-mwangi"}}],
    }


def _procedure(person: Json) -> Json:
    code, display = person["procedure"]
    return {
        **_resource("Procedure", f"{person['id']}-procedure"),
        "status": "completed",
        "code": _concept(SNOMED, code, display),
        "subject": _subject(person),
        "encounter": {"reference": f"Encounter/{_visit_id(person, 1)}"},
        "performedDateTime": _moment(1, 9, 15),
        "performer": [{"actor": {"reference": f"Practitioner/{person['gp']}"}}],
    }


def _document(person: Json) -> Json:
    letter = f"Dear colleague,\n\nblood pressure and sugar are coming down; please go on.\n\n{CLINIC['display']}\n"
    return {
        **_resource("DocumentReference", f"{person['id']}-letter"),
        "status": "current",
        "docStatus": "final",
        "type": _concept(LOINC, "11488-4", "Consult note"),
        "subject": _subject(person),
        "date": _moment(2, 16, 0),
        "author": [{"reference": f"Practitioner/{person['gp']}"}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "en",
                    "data": base64.b64encode(letter.encode()).decode(),
                    "title": "Letter of September 2026",
                }
            }
        ],
        "context": {"encounter": [{"reference": f"Encounter/{_visit_id(person, 2)}"}]},
    }


def _appointment(person: Json, number: int) -> Json:
    return {
        **_resource("Appointment", f"{person['id']}-next"),
        "status": "booked",
        "description": "Routine visit",
        "start": f"2027-01-{10 + number}T09:00:00-05:00",
        "end": f"2027-01-{10 + number}T09:25:00-05:00",
        "minutesDuration": 25,
        "participant": [
            {"actor": _subject(person), "status": "accepted"},
            {"actor": {"reference": f"Practitioner/{person['gp']}"}, "status": "accepted"},
            {"actor": {"reference": "Location/harbour"}, "status": "accepted"},
        ],
    }


def _resource(type_: str, key: str) -> Json:
    return {"resourceType": type_, "id": key}


def _subject(person: Json) -> Json:
    return {"reference": f"Patient/{person['id']}", "display": " ".join([*person["given"], person["family"]])}


def _visit_id(person: Json, visit: int) -> str:
    return f"{person['id']}-visit-{visit + 1}"


def _moment(visit: int, hour: int, minute: int) -> str:
    return f"{VISITS[visit]}T{hour:02}:{minute:02}:00-04:00"


def _concept(system: str, code: str, display: str = "") -> Json:
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display}], "text": display} if display else {"coding": [coding]}


def _quantity(value: Decimal, unit: str, ucum: str) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": ucum}


def _mmhg(value: int) -> Json:
    return _quantity(Decimal(value), "mmHg", "mm[Hg]")


def _address(parts: list[str]) -> Json:
    line, city, state, code, country = parts
    address: Json = {"line": [line], "city": city, "postalCode": code, "country": country}
    return {**address, "state": state} if state else address


if __name__ == "__main__":
    main()
