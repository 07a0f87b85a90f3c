"""search: every kind of parameter, modifiers, order, totals. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
SYSTEM = "http://example.org/marks"
VALUES = "http://example.org/codes"


@pytest.fixture
def mark() -> str:
    """An identifier that only this test's resources have."""
    return uuid4().hex


async def add(client: FhirClient, mark: str, name: str, resource: Json) -> str:
    """Store the resource under `mark-name` and return that id."""
    made = f"{mark}-{name}"[:64]
    body = {**resource, "id": made, "identifier": [{"system": SYSTEM, "value": mark}]}
    answer = await client.put(f"{resource['resourceType']}/{made}", body)
    assert answer.status_code == 201, answer.text
    return made


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


async def names(client: FhirClient, mark: str, path: str) -> list[str]:
    """Return the names under which the matches were added, in the order of the answer."""
    joint = "&" if "?" in path else "?"
    answer = await client.get(f"{path}{joint}identifier={SYSTEM}|{mark}&_count=100")
    assert answer.status_code == 200, answer.text
    found = [e["resource"]["id"] for e in answer.json().get("entry", []) if e["search"]["mode"] == "match"]
    return [f.removeprefix(f"{mark}-") for f in found]


async def some_codes(client: FhirClient, mark: str) -> None:
    codings = {
        "here": {"system": VALUES, "code": "A"},
        "there": {"system": "http://example.org/others", "code": "A"},
        "bare": {"code": "A"},
        "other": {"system": VALUES, "code": "B"},
    }
    for name, coding in codings.items():
        await add(client, mark, name, observation(code={"coding": [coding]}))


@pytest.mark.parametrize(
    ("query", "right"),
    [
        (f"code={VALUES}|A", {"here"}),
        ("code=|A", {"bare"}),
        ("code=A", {"here", "there", "bare"}),
        (f"code={VALUES}|", {"here", "other"}),
        (f"code={VALUES}|A,{VALUES}|B", {"here", "other"}),
        (f"code=A&code={VALUES}|", {"here"}),
        ("code:not=A", {"other"}),
        (f"code:not={VALUES}|A", {"there", "bare", "other"}),
        (f"code={VALUES}|C", set()),
    ],
)
async def test_tokens(shared_server: FhirClient, mark: str, query: str, right: set[str]) -> None:
    await some_codes(shared_server, mark)
    assert set(await names(shared_server, mark, f"Observation?{query}")) == right


async def test_every_form_of_a_reference_finds_it(shared_server: FhirClient, mark: str) -> None:
    patient = await add(shared_server, mark, "p", {"resourceType": "Patient"})
    await add(shared_server, mark, "mine", observation(subject={"reference": f"Patient/{patient}"}))
    await add(shared_server, mark, "group", observation(subject={"reference": f"Group/{patient}"}))
    away = f"http://elsewhere.example/fhir/Patient/{patient}"
    await add(shared_server, mark, "away", observation(subject={"reference": away}))
    expected = {
        f"subject={patient}": {"mine", "group"},
        f"subject=Patient/{patient}": {"mine"},
        f"subject:Patient={patient}": {"mine"},
        f"subject=http://testserver/fhir/Patient/{patient}": {"mine"},
        f"subject={away}": {"away"},
        f"patient={patient}": {"mine"},
        f"patient=Patient/{patient}": {"mine"},
        "subject=Patient/nobody": set(),
    }
    for query, right in expected.items():
        assert set(await names(shared_server, mark, f"Observation?{query}")) == right, query


@pytest.mark.parametrize(
    ("query", "right"),
    [
        ("family=mül", {"umlaut", "plain"}),
        ("family=MUL", {"umlaut", "plain"}),
        ("family=ller", set()),
        ("family:exact=Müller", {"umlaut"}),
        ("family:exact=Muller", {"plain"}),
        ("family:exact=muller", set()),
        ("family=muller,garc", {"umlaut", "plain", "garcia"}),
        ("name=ines", {"garcia"}),
    ],
)
async def test_strings(shared_server: FhirClient, mark: str, query: str, right: set[str]) -> None:
    people = {"umlaut": ("Müller", "Ida"), "plain": ("Muller", "Jo"), "garcia": ("García", "Inés")}
    for name, (family, given) in people.items():
        person = {"resourceType": "Patient", "name": [{"family": family, "given": [given]}]}
        await add(shared_server, mark, name, person)
    assert set(await names(shared_server, mark, f"Patient?{query}")) == right


WHEN: dict[str, Json] = {
    "year": {"effectiveDateTime": "2020"},
    "march": {"effectiveDateTime": "2020-03"},
    "day": {"effectiveDateTime": "2020-03-15"},
    "period": {"effectivePeriod": {"start": "2020-02-20", "end": "2020-03-10"}},
    "after": {"effectiveDateTime": "2020-04-01"},
    "before": {"effectiveDateTime": "2020-02-29"},
}
DATES = {
    "2020-03": {"march", "day"},
    "eq2020-03": {"march", "day"},
    "ne2020-03": {"year", "period", "after", "before"},
    "gt2020-03": {"year", "after"},
    "lt2020-03": {"year", "period", "before"},
    "ge2020-03": {"year", "after", "march", "day"},
    "le2020-03": {"year", "period", "before", "march", "day"},
    "sa2020-03": {"after"},
    "eb2020-03": {"before"},
    "eq2020-03-15": {"day"},
    "gt2020-03-15": {"year", "march", "after"},
    "lt2020-03-15": {"year", "march", "period", "before"},
    "ge2020-03-15": {"year", "march", "after", "day"},
    "le2020-03-15": {"year", "march", "period", "before", "day"},
    "sa2020-03-15": {"after"},
    "eb2020-03-15": {"period", "before"},
    "ge2020-02&date=lt2020-03": {"year", "period", "before"},
}


async def test_dates_compare_as_intervals(shared_server: FhirClient, mark: str) -> None:
    for name, when in WHEN.items():
        await add(shared_server, mark, name, observation(**when))
    for value, right in DATES.items():
        assert set(await names(shared_server, mark, f"Observation?date={value}")) == right, value
        if "&" not in value:  # a list of values is looked up in another index than a single one
            listed = f"Observation?date={value},{value}"
            assert set(await names(shared_server, mark, listed)) == right, listed


async def test_id_and_last_updated(shared_server: FhirClient, mark: str) -> None:
    one = await add(shared_server, mark, "one", observation())
    two = await add(shared_server, mark, "two", observation())
    await add(shared_server, mark, "three", observation())
    assert set(await names(shared_server, mark, f"Observation?_id={one},{two}")) == {"one", "two"}
    assert await names(shared_server, mark, "Observation?_id=nobody") == []
    assert len(await names(shared_server, mark, "Observation?_lastUpdated=gt2020-01-01")) == 3
    assert await names(shared_server, mark, "Observation?_lastUpdated=lt2020-01-01") == []
    moment = (await shared_server.get(f"Observation/{two}")).json()["meta"]["lastUpdated"].replace("+", "%2B")
    assert "two" in await names(shared_server, mark, f"Observation?_lastUpdated={moment}")


async def test_sorting(shared_server: FhirClient, mark: str) -> None:
    rows = {"a": ("2021-05-01", "registered"), "b": ("2020-05-01", "final"), "c": ("2022-05-01", "amended")}
    for name in ("b", "c", "a"):
        when, status = rows[name]
        await add(shared_server, mark, name, observation(effectiveDateTime=when, status=status))
    expected = {
        "date": "bac",
        "-date": "cab",
        "_id": "abc",
        "-_id": "cba",
        "_lastUpdated": "bca",
        "-_lastUpdated": "acb",
        "status": "cba",
        "-status": "abc",
        "status,date": "cba",
    }
    for sort, right in expected.items():
        assert "".join(await names(shared_server, mark, f"Observation?_sort={sort}")) == right, sort


async def test_sorting_by_family_puts_those_without_one_last(shared_server: FhirClient, mark: str) -> None:
    for name, family in {"1": "Zola", "2": "Ábel", "3": "mann"}.items():
        await add(shared_server, mark, name, {"resourceType": "Patient", "name": [{"family": family}]})
    await add(shared_server, mark, "4", {"resourceType": "Patient"})
    assert await names(shared_server, mark, "Patient?_sort=family") == ["2", "3", "1", "4"]


async def test_totals(shared_server: FhirClient, mark: str) -> None:
    for name in "abc":
        await add(shared_server, mark, name, observation())
    path = f"Observation?identifier={mark}&_count=2"
    assert "total" not in (await shared_server.get(f"{path}&_total=none")).json()
    accurate = (await shared_server.get(f"{path}&_total=accurate")).json()
    assert (accurate["total"], len(accurate["entry"])) == (3, 2)
    count = (await shared_server.get(f"Observation?identifier={mark}&_summary=count")).json()
    assert (count["type"], count["total"], "entry" in count) == ("searchset", 3, False)
    assert (await shared_server.get(f"{path}&_total=roughly")).status_code == 400


async def test_an_unknown_parameter_is_a_warning_or_refused_when_strict(shared_server: FhirClient, mark: str) -> None:
    await add(shared_server, mark, "a", observation())
    path = f"Observation?identifier={mark}&colour=red"
    lenient = (await shared_server.get(path)).json()
    match, outcome = lenient["entry"]
    assert (match["search"]["mode"], outcome["search"]["mode"]) == ("match", "outcome")
    assert outcome["fullUrl"].startswith("urn:uuid:")
    issue = outcome["resource"]["issue"][0]
    assert (issue["severity"], issue["code"], issue["location"]) == ("warning", "not-supported", ["http.colour"])
    assert lenient["total"] == 1
    assert "colour" not in lenient["link"][0]["url"]
    strict = await shared_server.get(path, prefer="handling=strict")
    assert strict.status_code == 400
    assert strict.json()["issue"][0]["severity"] == "error"
    assert strict.json()["issue"][0]["location"] == ["http.colour"]


@pytest.mark.parametrize("name", ["code:deeper", "family:loud", "date:exact", "_id:exact"])
async def test_a_modifier_that_is_not_there_is_refused(shared_server: FhirClient, name: str) -> None:
    kind = "Patient" if name.startswith("family") else "Observation"
    answer = await shared_server.get(f"{kind}?{name}=2020")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize("query", ["date=yesterday", "code=|", "_count=-1", "_id=1&_type=Rock"])
async def test_a_value_that_means_nothing(shared_server: FhirClient, query: str) -> None:
    path = f"?{query}" if "_type" in query else f"Observation?{query}"
    assert (await shared_server.get(path)).status_code == 400


async def test_post_search_is_the_same_search(shared_server: FhirClient, mark: str) -> None:
    one = await add(shared_server, mark, "one", observation(status="final"))
    await add(shared_server, mark, "two", observation(status="amended"))
    answer = await shared_server.http.post(
        f"/fhir/Observation/_search?identifier={mark}",
        content=b"status=final",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == [one]
    assert "_search" not in answer.json()["link"][0]["url"]


async def test_a_compartment_holds_what_refers_to_its_patient(shared_server: FhirClient, mark: str) -> None:
    patient = await add(shared_server, mark, "p", {"resourceType": "Patient"})
    mine = {"subject": {"reference": f"Patient/{patient}"}}
    await add(shared_server, mark, "mine", observation(**mine))
    await add(shared_server, mark, "not-mine", observation())
    await add(shared_server, mark, "ill", {"resourceType": "Condition", **mine})
    assert await names(shared_server, mark, f"Patient/{patient}/Observation") == ["mine"]
    whole = (await shared_server.get(f"Patient/{patient}/*")).json()
    found = {e["resource"]["id"].removeprefix(f"{mark}-") for e in whole["entry"]}
    assert found - {"p"} == {"mine", "ill"}
    assert (await shared_server.get(f"Patient/{patient}/Library")).status_code == 400


async def test_a_chain_looks_into_what_is_referred_to(shared_server: FhirClient, mark: str) -> None:
    for family in ("Abel", "Zola"):
        patient = await add(shared_server, mark, family, {"resourceType": "Patient", "name": [{"family": family}]})
        await add(shared_server, mark, f"of-{family}", observation(subject={"reference": f"Patient/{patient}"}))
    assert await names(shared_server, mark, "Observation?patient.family=zol") == ["of-Zola"]
    assert await names(shared_server, mark, "Observation?subject:Patient.family=Abel") == ["of-Abel"]
    assert await names(shared_server, mark, "Observation?patient.family=nobody-has-this") == []
    assert (await shared_server.get("Observation?code.family=x")).status_code == 400
