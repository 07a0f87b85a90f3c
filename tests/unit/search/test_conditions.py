"""Queries against resources without a database: a value finds what the rules of its type say it finds.

https://hl7.org/fhir/R4/search.html#ptypes. The criterion of each query is held against the index of one resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from fhir_server.api import Everything
from fhir_server.fhir.json import decode
from fhir_server.search.conditions import Condition, Index, condition
from fhir_server.search.matching import Codes, Setting, matcher
from fhir_server.search.query import Filter
from tests.unit.search.memory import BASE, NOW, PARAMETERS, PARSER, TERM, Json, kept, meets


def asked(resource_type: str, name: str, value: str) -> Filter:
    """Return the one filter of a query."""
    (only,) = PARSER.parse(resource_type, [(name, value)], strict=True).filters
    return only


def index_of(codes: Mapping[str, Codes] | None = None) -> Index:
    """Return the index with some value sets expanded."""
    return Index(TERM, PARAMETERS, Setting(NOW, BASE, codes or {}))


def made(resource_type: str, name: str, value: str, codes: Mapping[str, Codes] | None = None) -> Condition:
    """Return the condition of one parameter of a query."""
    return condition(asked(resource_type, name, value), index_of(codes))


def finds(resource: Json, name: str, value: str, codes: Mapping[str, Codes] | None = None) -> bool:
    """Whether a query finds a resource; the index and what is tested on the resource must not contradict each other."""
    one = asked(resource["resourceType"], name, value)
    index = index_of(codes)
    where = condition(one, index)
    held = meets(kept(resource), where.where)
    matches = matcher(one, PARAMETERS, index.setting)(resource)
    if where.exact:
        assert held is matches
    assert held or not matches
    return matches


PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p",
    "active": True,
    "gender": "female",
    "identifier": [{"system": "urn:mrn", "value": "A,1"}, {"value": "B|2"}],
    "name": [{"family": "Müller-Smith", "given": ["Anna Lena"]}],
    "telecom": [{"system": "phone", "value": "555-1"}, {"system": "email", "value": "A@x.example"}],
    "generalPractitioner": [{"reference": "Practitioner/d"}, {"identifier": {"system": "urn:npi", "value": "9"}}],
    "managingOrganization": {"reference": f"{BASE}/Organization/o/_history/4"},
    "link": [{"other": {"reference": "https://there.example/fhir/Patient/q"}, "type": "seealso"}],
    "meta": {
        "tag": [{"system": "urn:tag", "code": "T"}],
        "profile": ["https://example.org/p|1.0"],
        "source": "urn:src",
    },
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("gender", "female", True),
        ("gender", "FEMALE", True),
        ("gender", "male", False),
        ("gender", "male,female", True),
        ("gender:not", "male", True),
        ("gender:not", "male,female", False),
        ("active", "true", True),
        ("active", "false", False),
        ("identifier", r"urn:mrn|A\,1", True),
        ("identifier", r"A\,1", True),
        ("identifier", "A,1", False),  # A or 1
        ("identifier", r"|A\,1", False),  # without a system
        ("identifier", r"|B\|2", True),
        ("identifier", r"B\|2", True),
        ("identifier", "urn:mrn|", True),
        ("identifier", "urn:other|", False),
        ("identifier", r"urn:other|A\,1", False),
        ("phone", "555-1", True),
        ("email", "a@X.example", True),
        ("phone", "A@x.example", False),
        ("telecom", "A@x.example", True),
        ("_tag", "urn:tag|T", True),
        ("_tag", "urn:tag|other", False),
        ("_tag:not", "urn:tag|T", False),
        ("family", "müller", True),
        ("family", "MULLER-s", True),
        ("family", "smith", False),
        ("given", "anna", True),
        ("given", "lena", False),
        ("given", "anna  lena", True),
        ("name", "anna", True),
        ("name", "zz,mull", True),
        ("family:exact", "Müller-Smith", True),
        ("family:exact", "Müller", False),
        ("family:exact", "müller-smith", False),
        ("general-practitioner", "Practitioner/d", True),
        ("general-practitioner", "d", True),
        ("general-practitioner", f"{BASE}/Practitioner/d", True),
        ("general-practitioner", "https://there.example/fhir/Practitioner/d", False),
        ("general-practitioner", "Organization/d", False),
        ("general-practitioner:Practitioner", "d", True),
        ("general-practitioner:Organization", "d", False),
        ("general-practitioner:identifier", "urn:npi|9", True),
        ("general-practitioner:identifier", "urn:npi|8", False),
        ("organization", "Organization/o", True),
        ("organization", "Organization/o/_history/1", True),
        ("link", "https://there.example/fhir/Patient/q", True),
        ("link", "Patient/q", False),
        ("_profile", "https://example.org/p|1.0", True),
        ("_profile", "https://example.org/p|2.0", False),
        ("_source", "urn:src", True),
        ("_source", "urn:sr", False),
    ],
)
def test_equality_and_text(name: str, value: str, expected: bool) -> None:
    assert finds(PATIENT, name, value) is expected


@pytest.mark.parametrize(
    ("code", "patient", "expected"),
    [("patient", "Patient/p", True), ("patient", "p", True), ("patient", "q", False), ("subject", "Patient/p", True)],
)
def test_an_alias_finds_by_the_index_of_the_other(code: str, patient: str, expected: bool) -> None:
    observation = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/p"}}
    assert finds(observation, code, patient) is expected


def test_an_alias_does_not_find_what_it_is_narrowed_away_from() -> None:
    observation = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Group/g"}}
    assert finds(observation, "subject", "Group/g")
    assert finds(observation, "subject", "g")
    assert not finds(observation, "patient", "Group/g")
    assert not finds(observation, "patient", "g")


# What each prefix says of the value [2020-03-01, 2020-04-01) searched for with 2020-03-10, 2020-03, 2020, 2019, 2021.
COMPARED = {
    "eq": (False, True, True, False, False),
    "ne": (True, False, False, True, True),
    "gt": (True, False, False, True, False),
    "lt": (True, False, False, False, True),
    "ge": (True, True, True, True, False),
    "le": (True, True, True, False, True),
    "sa": (False, False, False, True, False),
    "eb": (False, False, False, False, True),
}


@pytest.mark.parametrize("prefix", COMPARED)
def test_a_date_is_compared_as_the_interval_it_covers(prefix: str) -> None:
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "2020-03"}
    asked = ("2020-03-10", "2020-03", "2020", "2019", "2021")
    assert tuple(finds(patient, "birthdate", prefix + a) for a in asked) == COMPARED[prefix]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2020-03", True), ("eq2020-03", True), ("2020-04", False), ("ap2020-03-05", True), ("ap2010", False)],
)
def test_a_date_without_a_prefix_and_about(value: str, expected: bool) -> None:
    assert finds({"resourceType": "Patient", "id": "p", "birthDate": "2020-03"}, "birthdate", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gt2030", True),
        ("ge2030", True),
        ("gt9998", True),
        ("gt2019", True),
        ("lt2019", False),
        ("lt2021", True),
        ("sa2019", True),
        ("sa2021", False),
        ("eb2030", False),
        ("eq2020", False),
        ("ne2020", True),
    ],
)
def test_a_period_without_an_end_goes_on(value: str, expected: bool) -> None:
    encounter = {"resourceType": "Encounter", "id": "e", "period": {"start": "2020-06-01"}}
    assert finds(encounter, "date", value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("lt1900", True), ("lt0002", True), ("gt2021", False), ("gt2019", True), ("eb2021", True), ("sa1900", False)],
)
def test_a_period_without_a_start_always_was(value: str, expected: bool) -> None:
    encounter = {"resourceType": "Encounter", "id": "e", "period": {"end": "2020-06-01"}}
    assert finds(encounter, "date", value) is expected


# The value is 100 (its text 100 or 1e2), searched for with 100, 99, 101, 1e2, 99.5 (https://hl7.org/fhir/R4/search.html#number).
NUMBERS = {
    "": (True, False, False, True, False),
    "eq": (True, False, False, True, False),
    "ne": (False, True, True, False, True),
    "gt": (False, True, False, False, True),
    "lt": (False, False, True, False, False),
    "ge": (True, True, False, True, True),
    "le": (True, False, True, True, False),
    "sa": (False, True, False, False, True),
    "eb": (False, False, True, False, False),
    "ap": (True, True, True, True, True),
}


@pytest.mark.parametrize("prefix", NUMBERS)
@pytest.mark.parametrize("written", ["100", "1e2", "100.00"])
def test_a_number_is_compared_with_the_precision_it_is_asked_with(prefix: str, written: str) -> None:
    raw = f'{{"resourceType":"RiskAssessment","id":"r","prediction":[{{"probabilityDecimal":{written}}}]}}'
    resource = decode(raw.encode())
    asked = ("100", "99", "101", "1e2", "99.5")
    assert tuple(finds(resource, "probability", prefix + a) for a in asked) == NUMBERS[prefix]


UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"5.4|{UCUM}|mg", True),
        (f"5.40|{UCUM}|mg", True),
        (f"5|{UCUM}|mg", True),  # 4.5 to 5.5
        (f"5.5|{UCUM}|mg", False),
        (f"5.4|{UCUM}|g", False),
        ("5.4|urn:other|mg", False),
        ("5.4", True),
        (f"gt5|{UCUM}|mg", True),
        (f"lt5|{UCUM}|mg", False),
        ("ap5", True),
        (f"-5.4|{UCUM}|mg", False),
    ],
)
def test_a_quantity_is_compared_in_its_unit(value: str, expected: bool) -> None:
    raw = b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":5.4,"system":"%b","code":"mg"}}'
    assert finds(decode(raw % UCUM.encode()), "value-quantity", value) is expected


WARD: Json = {
    "resourceType": "Location",
    "id": "w",
    "address": {"line": ["1 Straße"], "city": "Köln"},
    "position": {"latitude": Decimal("50.94"), "longitude": Decimal("6.96")},
}
SET: Json = {
    "resourceType": "ValueSet",
    "id": "s",
    "url": "http://example.org/fhir/ValueSet/colours",
    "version": "2",
    "status": "active",
    "useContext": [
        {"code": {"system": "urn:kind", "code": "venue"}, "valueCodeableConcept": {"coding": [{"code": "ward"}]}},
        {"code": {"system": "urn:kind", "code": "age"}, "valueRange": {"low": {"value": 18}}},
    ],
}
PRESSURE: Json = {
    "resourceType": "Observation",
    "id": "p",
    "status": "final",
    "code": {"text": "Blood pressure", "coding": [{"system": "urn:c", "code": "BP", "display": "Arterial"}]},
    "component": [
        {"code": {"coding": [{"system": "urn:c", "code": "sys"}]}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": {"coding": [{"system": "urn:c", "code": "dia"}]}, "valueQuantity": {"value": 80, "unit": "mmHg"}},
    ],
}
INSURED: Json = {
    "resourceType": "Patient",
    "id": "i",
    "identifier": [
        {"type": {"coding": [{"system": "urn:v2", "code": "MR"}]}, "value": "7"},
        {"type": {"coding": [{"system": "urn:v2", "code": "SS"}]}, "value": "8"},
    ],
}
CODES = {"urn:set": frozenset({("urn:c", "BP"), ("urn:c", "x")}), "urn:other": frozenset({("urn:c", "x")})}


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (PATIENT, "gender:missing", "false", True),
        (PATIENT, "gender:missing", "true", False),
        (PATIENT, "birthdate:missing", "true", True),
        (PATIENT, "birthdate:missing", "true,false", True),
        (PATIENT, "phonetic:missing", "false", True),
        ({**PATIENT, "birthDate": "", "_birthDate": {"extension": []}}, "gender:missing", "true", False),
        (PATIENT, "family:contains", "ller-SM", True),
        (PATIENT, "family:contains", "anna", False),
        (PATIENT, "gender", "http://hl7.org/fhir/administrative-gender|female", True),
        (PATIENT, "gender", "http://hl7.org/fhir/administrative-gender|", True),
        (PATIENT, "gender", "|female", True),
        (PATIENT, "gender", "urn:other|female", False),
        (PATIENT, "active", "http://terminology.hl7.org/CodeSystem/special-values|true", True),
        (PATIENT, "active:not", "http://terminology.hl7.org/CodeSystem/special-values|true", False),
        (PATIENT, "_profile", "https://example.org/p", True),
        (PATIENT, "_profile:below", "https://example.org", True),
        (PATIENT, "_profile:below", "https://example.org/p/q", False),
        (PATIENT, "_profile:above", "https://example.org/p/q", True),
        (PATIENT, "_profile:above", "https://example.org/p|2.0", True),
        (PATIENT, "general-practitioner:identifier", "urn:npi|", True),
        (PATIENT, "_content", "anna smith", True),
        (PATIENT, "_text", "anna", False),
        (INSURED, "identifier:of-type", "urn:v2|MR|7", True),
        (INSURED, "identifier:of-type", "urn:v2|mr|7", True),
        (INSURED, "identifier:of-type", "urn:v2|MR|8", False),
        (WARD, "address", "1 strasse", True),
        (WARD, "address-city", "koln", True),
        (WARD, "near", "51|7|10|km", True),
        (WARD, "near", "51|7|5|km", False),
        (WARD, "near", "51|8|50|km", False),
        ({**WARD, "position": {"latitude": Decimal("1e400"), "longitude": Decimal(0)}}, "near", "51|7|10|km", False),
        ({**WARD, "position": {"latitude": Decimal("410.94"), "longitude": Decimal(7)}}, "near", "51|7|10|km", False),
        (SET, "url", "http://example.org/fhir/ValueSet/colours|2", True),
        (SET, "url", "http://example.org/fhir/ValueSet/colours|3", False),
        (SET, "url:below", "http://example.org/fhir", True),
        (SET, "url:below", "http://example.org/fh", False),
        (SET, "url:above", "http://example.org/fhir/ValueSet/colours/red", True),
        (SET, "url:above", "http://example.org/fhir/ValueSet", False),
        (SET, "context-quantity", "gt40", True),
        (SET, "context-quantity", "lt17", False),
        (SET, "context-type-value", "venue$ward", True),
        (SET, "context-type-value", "age$ward", False),
        (SET, "context-type-quantity", "age$ge18", True),
        (SET, "context-type-quantity", "venue$ge18", False),
        ({**SET, "url": "http://example.org/"}, "url:above", "http://example.org/", True),
        ({**PRESSURE, "code": {"coding": [{"system": "urn:c"}]}}, "code", "urn:c|", True),
        ({**PRESSURE, "code": {"coding": [{"system": "urn:c"}]}}, "code", "urn:d|", False),
        (PRESSURE, "code:text", "blood", True),
        (PRESSURE, "code:text", "arterial", True),
        (PRESSURE, "code:text", "pressure", False),
        (PRESSURE, "code:in", "urn:set", True),
        (PRESSURE, "code:not-in", "urn:set", False),
        (PRESSURE, "code:in", "urn:other", False),
        (PRESSURE, "code:not-in", "urn:other", True),
        (PRESSURE, "code:below", "urn:set", True),
        (PRESSURE, "component-code-value-quantity", "urn:c|sys$gt100", True),
        (PRESSURE, "component-code-value-quantity", "urn:c|dia$gt100", False),
        (PRESSURE, "component-value-quantity", "120||mmHg", True),
        (PRESSURE, "component-value-quantity", "120||mm", False),
        (PRESSURE, "value-date:missing", "true", True),
    ],
)
def test_what_only_the_resource_can_tell(resource: Json, name: str, value: str, expected: bool) -> None:
    assert finds(resource, name, value, CODES) is expected


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "exact"),
    [
        ("Patient", "gender", "male", True),
        ("Patient", "gender:not", "male", True),
        ("Patient", "gender:missing", "true", True),
        ("Patient", "identifier", "urn:mrn|1", True),
        ("Patient", "family", "smi", True),
        ("Patient", "family", "smi,sch", True),
        ("Patient", "family", "s" * 1000, True),
        ("Patient", "family", "s" * 1001, False),
        ("Patient", "family:exact", "Smith", True),
        ("Patient", "family:contains", "mit", False),
        ("Patient", "birthdate", "2020-03", True),
        ("Patient", "birthdate", "gt2020", True),
        ("Patient", "_profile", "https://example.org/p", True),
        ("Patient", "organization", "Organization/1", True),
        ("Observation", "patient", "1", True),
        ("Observation", "patient", "urn:uuid:1", False),
        ("Observation", "patient:missing", "true", False),
        ("Observation", "code", "urn:c|1,urn:c|2", True),
        ("Observation", "code:text", "blood", False),
        ("Observation", "value-quantity", "gt5", False),
        ("Procedure", "date", "2020", True),
        ("Appointment", "part-status:not", "accepted", True),
        ("ValueSet", "url", "http://example.org/s", True),
        ("Task", "period", "ge2020", True),
        ("MedicationRequest", "date", "gt2020", True),
        ("MedicationRequest", "date", "2020", False),  # of several events one must be in 2020 by both its ends
    ],
)
def test_what_the_index_answers_by_itself(resource_type: str, name: str, value: str, exact: bool) -> None:
    assert made(resource_type, name, value).exact is exact


def test_of_what_is_not_exact_the_opposite_is_not_asked_of_the_index() -> None:
    codes = {"urn:set": CODES["urn:set"]}
    assert made("Observation", "code:not-in", "urn:set", codes) == Condition(Everything(), exact=False)
    special = "http://terminology.hl7.org/CodeSystem/special-values|true"
    assert made("Patient", "active:not", special) == Condition(Everything(), exact=False)


@pytest.mark.parametrize("name", ["_tag", "_tag:not", "_tag:missing"])
@pytest.mark.parametrize("value", ["urn:tag|T", "urn:tag|other", "true"])
def test_any_of_several_types_is_found_by_its_own_index(name: str, value: str) -> None:
    if (name == "_tag:missing") is not (value == "true"):
        return
    tagged = {**PATIENT, "meta": {"tag": [{"system": "urn:tag", "code": "T"}]}}
    (one,) = PARSER.parse("", [("_type", "Patient,Group"), (name, value)], strict=True).filters
    where = condition(one, index_of())
    matches = matcher(one, PARAMETERS, index_of().setting)
    for resource in (tagged, {"resourceType": "Group", "id": "g"}):
        held = meets(kept(resource), where.where)
        assert held or not matches(resource)
        assert held is matches(resource) or not where.exact
