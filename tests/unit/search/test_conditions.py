"""Queries against resources without a database: a value finds what the rules of its type say it finds.

https://hl7.org/fhir/R4/search.html#ptypes. The criterion of each query is held against the index of one resource.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import And, Criterion, Index, InvalidRequest, Not, Nothing, Or, Range, Tenant, Term
from fhir_server.fhir.dates import parse_range
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode
from fhir_server.search.conditions import condition
from fhir_server.search.indexing import Indexer
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import QueryParser

Json = dict[str, Any]

BASE = "https://here.example/fhir"
NOW = parse_range("2026-01-01")[0]
TENANT = Tenant("t", "t", b"k" * 32)
PARAMETERS = Parameters(r4())
INDEXER = Indexer(r4(), PARAMETERS, BASE)
PARSER = QueryParser(PARAMETERS, r4().resource_types)


def meets(index: Index, where: Criterion) -> bool:
    """Whether a criterion holds, as api.criteria says it."""
    match where:
        case Term(terms):
            return not set(terms).isdisjoint(index.terms)
        case Range(low, high):
            return any(low <= text < high for text in index.ranges)
        case And(conditions):
            return all(meets(index, c) for c in conditions)
        case Or(conditions):
            return any(meets(index, c) for c in conditions)
        case Not(inner):
            return not meets(index, inner)
        case Nothing():
            return False
    raise AssertionError(f"not made by a filter: {where}")


def criterion(resource_type: str, name: str, value: str) -> Criterion:
    """Return the criterion of one parameter of a query."""
    query = PARSER.parse(resource_type, [(name, value)], strict=True)
    (only,) = query.filters
    return condition(only, INDEXER.hash_of(TENANT), NOW, BASE)


def finds(resource: Json, name: str, value: str) -> bool:
    """Whether a query finds a resource."""
    return meets(INDEXER.index(TENANT, resource), criterion(resource["resourceType"], name, value))


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


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Patient", "birthdate", "yesterday"),
        ("Patient", "birthdate", "xx2020"),
        ("Patient", "birthdate", "2020-02-30"),
        ("Patient", "birthdate:exact", "2020"),
        ("Patient", "identifier", "|"),
        ("Patient", "gender:exact", "male"),
        ("Patient", "family:contains", "x"),
        ("Patient", "family", "  "),
        ("Patient", "general-practitioner:Patient", "1"),
        ("Patient", "general-practitioner:Rock", "1"),
        ("Patient", "_profile:below", "urn:x"),
        ("RiskAssessment", "probability", "half"),
        ("RiskAssessment", "probability", "NaN"),
        ("RiskAssessment", "probability", "Infinity"),
        ("RiskAssessment", "probability", "1e999999"),
        ("RiskAssessment", "probability", "1e-999999999999"),
        ("Observation", "value-quantity", "5|mg"),
        ("Observation", "value-quantity", "5||mg"),
        ("Observation", "value-quantity", f"mg|{UCUM}|5"),
    ],
)
def test_what_the_type_cannot_have_is_refused_by_name(resource_type: str, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        criterion(resource_type, name, value)
    assert [i.location for i in refused.value.issues] == [f"http.{name.partition(':')[0]}"]
