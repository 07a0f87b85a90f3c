"""Small sets of resources for property tests, drawn from pools so small that values meet, and nearly meet.

https://hl7.org/fhir/R4/search.html. Borders of precision, half days, time zones, accents, units, open periods, several
values, none, versions, contained resources and references of every form.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fhir_server.fhir.json import decode_stored, encode

Json = dict[str, Any]
Made = st.SearchStrategy[Any]

POOLS: Json = json.loads((Path(__file__).parent / "pools.json").read_text())
IDS: dict[str, list[str]] = POOLS["ids"]
HERE = "http://testserver/fhir"
ELSEWHERE = "http://other.org/fhir"
YEARS = {"unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
PERCENT = {"unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


def one_of(pool: list[Any]) -> Made:
    """Return a value of a pool."""
    return st.sampled_from(pool)


def some(value: Made, most: int = 2) -> Made:
    """Return a list of values, not empty."""
    return st.lists(value, min_size=1, max_size=most)


def either(**members: Made) -> Made:
    """Return one of several members, or none: the value[x] of an element."""
    return st.one_of(st.just({}), *(value.map(lambda v, name=name: {name: v}) for name, value in members.items()))


def made(kind: str, needed: Json, choices: tuple[Made, ...] = (), **members: Made) -> Made:
    """Return a resource with what it needs, some of its other members, and what each choice gives."""
    return st.builds(
        lambda own, given, chosen: {
            "resourceType": kind,
            "id": own,
            **needed,
            **given,
            **{name: value for one in chosen for name, value in one.items()},
        },
        one_of(IDS[kind]),
        st.fixed_dictionaries({}, optional=members),
        st.tuples(*choices),
    )


def observed(kind: str, needed: Json, choices: tuple[Made, ...] = (), **members: Made) -> Made:
    """Return a resource whose components have other codes than it, if it has a value (obs-7)."""
    return made(kind, needed, choices, **members).map(_without_own_codes)


def _without_own_codes(resource: Json) -> Json:
    own = resource["code"].get("coding", ())
    if "component" not in resource or not any(name.startswith("value") for name in resource):
        return resource
    kept = [row for row in resource["component"] if not any(c in own for c in row["code"].get("coding", ()))]
    rest = {name: value for name, value in resource.items() if name != "component"}
    return rest | ({"component": kept} if kept else {})


text = one_of(POOLS["names"])
number = one_of(POOLS["numbers"]).map(Decimal)
moment = one_of([*POOLS["dates"], *POOLS["moments"]])
period = st.one_of(
    st.builds(lambda start, end: {"start": start, "end": end}, one_of(POOLS["starts"]), one_of(POOLS["ends"])),
    one_of(POOLS["starts"]).map(lambda start: {"start": start}),
    one_of(POOLS["ends"]).map(lambda end: {"end": end}),
)
timing = st.lists(moment, min_size=1, max_size=2, unique=True).map(lambda events: {"event": events})
quantity = st.builds(
    lambda value, unit: {"value": Decimal(value), **unit},
    one_of([*POOLS["numbers"], *POOLS["amounts"]]),
    one_of(POOLS["units"]),
)
coding = one_of(POOLS["codings"])
concept = st.one_of(
    st.builds(lambda codes: {"coding": codes}, some(coding)),
    st.builds(lambda codes, text: {"coding": codes, "text": text}, some(coding), one_of(POOLS["texts"])),
    one_of(POOLS["texts"]).map(lambda text: {"text": text}),
)
identifier = st.builds(
    lambda coded, kind: {
        **({"system": coded["system"]} if "system" in coded else {}),
        "value": coded["code"],
        **({"type": kind} if kind else {}),
    },
    coding,
    st.one_of(st.none(), concept),
)
name = st.builds(
    lambda family, given, text: {"family": family, "given": given, **({"text": text} if text else {})},
    text,
    some(text),
    st.one_of(st.none(), text),
)
age = one_of(["30", "40", "40.5", "60"]).map(lambda value: {"value": Decimal(value), **YEARS})
age_range = st.one_of(
    st.builds(
        lambda low, high: {"low": low, "high": high}, st.just({"value": 30, **YEARS}), st.just({"value": 45, **YEARS})
    ),
    st.just({"low": {"value": 40, **YEARS}}),
    st.just({"high": {"value": 40, **YEARS}}),
)


def reference(*kinds: str) -> Made:
    """Return a reference in any of its forms."""
    local = st.one_of(*(one_of(IDS[kind]).map(lambda own, kind=kind: f"{kind}/{own}") for kind in kinds))
    return st.one_of(
        local.map(lambda text: {"reference": text}),
        local.map(lambda text: {"reference": f"{HERE}/{text}"}),
        local.map(lambda text: {"reference": f"{text}/_history/1"}),
        local.map(lambda text: {"reference": f"{ELSEWHERE}/{text}"}),
        identifier.map(lambda value: {"identifier": value}),
        st.just({"display": "someone"}),
    )


component = st.builds(
    lambda code, value: {"code": code, **value},
    concept,
    either(valueQuantity=quantity, valueCodeableConcept=concept, valueString=text),
)
prediction = either(
    probabilityDecimal=one_of(["0", "0.5", "0.45", "0.55", "1", "1.00", "99.5", "100"]).map(Decimal),
    probabilityRange=st.just({"low": {"value": 10, **PERCENT}, "high": {"value": 20, **PERCENT}}),
    qualitativeRisk=concept,
)
variant = st.builds(lambda start, end: {"start": start, "end": end}, st.integers(0, 3), st.sampled_from([3, 4, 10]))
characteristic = st.builds(
    lambda code, value: {"code": code, "exclude": False, **value},
    concept,
    st.one_of(concept.map(lambda c: {"valueCodeableConcept": c}), st.booleans().map(lambda b: {"valueBoolean": b})),
)
with_medication = st.one_of(
    st.builds(
        lambda code: {
            "contained": [{"resourceType": "Medication", "id": "k1", "code": code}],
            "medicationReference": {"reference": "#k1"},
        },
        concept,
    ),
    reference("Medication").map(lambda r: {"medicationReference": r}),
    concept.map(lambda c: {"medicationCodeableConcept": c}),
)
status = one_of(["final", "amended"])

RESOURCES: dict[str, Made] = {
    "Patient": made(
        "Patient",
        {},
        name=some(name),
        birthDate=one_of(POOLS["dates"]),
        gender=one_of(["male", "female"]),
        active=st.booleans(),
        identifier=some(identifier),
        address=some(text.map(lambda city: {"city": city, "use": "home"}), 1),
        generalPractitioner=some(reference("Practitioner", "Organization")),
        managingOrganization=reference("Organization"),
    ),
    "Practitioner": made("Practitioner", {}, name=some(name), identifier=some(identifier), active=st.booleans()),
    "Organization": made("Organization", {"name": "Acme"}, partOf=reference("Organization"), alias=some(text)),
    "Encounter": made(
        "Encounter",
        {"status": "finished", "class": {"code": "AMB"}},
        period=period,
        subject=reference("Patient", "Group"),
        partOf=reference("Encounter"),
        serviceProvider=reference("Organization"),
        type=some(concept),
    ),
    "Observation": observed(
        "Observation",
        {"status": "final", "code": {"coding": [{"system": "http://s1.org", "code": "a"}]}},
        (
            either(effectiveDateTime=moment, effectivePeriod=period, effectiveTiming=timing),
            either(valueQuantity=quantity, valueCodeableConcept=concept, valueString=text, valueDateTime=moment),
        ),
        status=status,
        code=concept,
        category=some(concept),
        subject=reference("Patient", "Group"),
        encounter=reference("Encounter"),
        performer=some(reference("Practitioner", "Patient")),
        hasMember=some(reference("Observation")),
        component=some(component),
    ),
    "Condition": made(
        "Condition",
        {"subject": {"display": "x"}},
        (either(onsetDateTime=moment, onsetPeriod=period, onsetAge=age, onsetRange=age_range),),
        subject=reference("Patient", "Group"),
        code=concept,
        encounter=reference("Encounter"),
        recordedDate=moment,
        evidence=some(some(reference("Observation"), 1).map(lambda r: {"detail": r}), 1),
    ),
    "Location": made(
        "Location",
        {},
        name=text,
        partOf=reference("Location"),
        position=one_of(POOLS["places"]).map(
            lambda at: {"latitude": Decimal(str(at[0])), "longitude": Decimal(str(at[1]))}
        ),
        managingOrganization=reference("Organization"),
    ),
    "ValueSet": made(
        "ValueSet", {"status": "active"}, url=one_of(POOLS["urls"]), version=one_of(["1.0", "2.0"]), title=text
    ),
    "Group": made(
        "Group",
        {"type": "person", "actual": True},
        characteristic=some(characteristic),
        member=some(reference("Patient").map(lambda r: {"entity": r})),
    ),
    "RiskAssessment": made(
        "RiskAssessment",
        {"status": "final", "subject": {"display": "x"}},
        (either(occurrenceDateTime=moment, occurrencePeriod=period),),
        subject=reference("Patient", "Group"),
        prediction=some(prediction.filter(bool)),
    ),
    "MolecularSequence": made(
        "MolecularSequence", {"coordinateSystem": 0}, variant=some(variant), patient=reference("Patient")
    ),
    "ChargeItem": made(
        "ChargeItem",
        {"status": "billable", "code": {"text": "x"}, "subject": {"display": "x"}},
        factorOverride=number,
        subject=reference("Patient"),
        priceOverride=st.builds(
            lambda value, currency: {"value": Decimal(value), "currency": currency},
            one_of(POOLS["numbers"]),
            one_of(["EUR", "USD"]),
        ),
        quantity=quantity,
    ),
    "Provenance": made(
        "Provenance",
        {
            "recorded": "2020-01-01T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
            "target": [{"reference": "Patient/p1"}],
        },
        target=some(reference("Patient", "Observation")),
    ),
    "MedicationRequest": made(
        "MedicationRequest",
        {"status": "active", "intent": "order", "subject": {"display": "x"}},
        (with_medication,),
        subject=reference("Patient"),
        authoredOn=moment,
    ),
    "Medication": made("Medication", {}, code=concept),
    "QuestionnaireResponse": made(
        "QuestionnaireResponse", {"status": "completed"}, questionnaire=one_of(POOLS["canonicals"]), authored=moment
    ),
    "List": made(
        "List",
        {"status": "current", "mode": "working"},
        entry=some(reference("Patient", "Observation").map(lambda r: {"item": r}), 3),
    ),
}


def resources(least: int = 4, most: int = 14) -> Made:
    """Return sets of resources, no two with the same key; of the commonest types more."""
    kinds = st.sampled_from(["Patient", "Patient", "Observation", "Observation", "Observation", *RESOURCES])
    return st.lists(
        kinds.flatmap(lambda kind: RESOURCES[kind]),
        min_size=least,
        max_size=most,
        unique_by=lambda r: (r["resourceType"], r["id"]),
    )


def placed(found: Any, example: str) -> Any:
    """Return resources or a query with the ids of an example, which `~` stands for."""
    return decode_stored(encode(found).replace(b"~", example.encode()))
