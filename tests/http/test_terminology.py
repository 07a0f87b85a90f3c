"""Terminology operations over the wire: by GET and POST, on the type and on one resource, and what search makes of it.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.unit.terminology.shelf import ANIMALS, SET, animals, filtered, of, value_set

pytestmark = pytest.mark.engine

Json = dict[str, Any]
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"
FOOD = "http://example.org/food"
MAP = {
    "resourceType": "ConceptMap",
    "id": "food",
    "url": "http://example.org/ConceptMap/food",
    "status": "active",
    "group": [
        {
            "source": ANIMALS,
            "target": FOOD,
            "element": [
                {"code": "owl", "target": [{"code": "mice", "display": "Mice", "equivalence": "wider"}]},
                {"code": "stone", "target": [{"equivalence": "unmatched"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "anything"},
        }
    ],
}


@pytest.fixture(scope="module")
async def zoo() -> AsyncIterator[FhirClient]:
    """A server with the animals, some value sets of them and what they eat."""
    async with fhir_client() as client:
        birds = value_set("birds", filtered("concept", "is-a", "bird"))
        loaded = [
            {**animals(name="Animals"), "id": "animals"},
            {**birds, "id": "birds", "version": "1"},
            {**value_set("few", of(ANIMALS, "eel")), "id": "few"},
            {**value_set("broken", filtered("colour", "=", "red")), "id": "broken"},
            MAP,
        ]
        for resource in loaded:
            answer = await client.put(f"{resource['resourceType']}/{resource['id']}", resource)
            assert answer.status_code == 201, answer.text
        yield client


@pytest.fixture(scope="module")
async def seen(zoo: FhirClient) -> FhirClient:
    """The same server, where an owl, a bird, an eel and something in LOINC were observed."""
    for name, system, code in (
        ("a", ANIMALS, "owl"),
        ("b", ANIMALS, "bird"),
        ("c", ANIMALS, "eel"),
        ("d", "http://loinc.org", "8867-4"),
    ):
        observation = {"resourceType": "Observation", "id": name, "status": "final"}
        answer = await zoo.put(
            f"Observation/{name}", {**observation, "code": {"coding": [{"system": system, "code": code}]}}
        )
        assert answer.status_code == 201, answer.text
    return zoo


def _values(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    rows = answer.json()["parameter"]
    return {row["name"]: next((v for k, v in row.items() if k.startswith("value")), row) for row in rows}


def _codes(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(row["code"] for row in answer.json()["expansion"].get("contains", ()))


def _issue(answer: httpx.Response) -> tuple[int, str, str]:
    issue = answer.json()["issue"][0]
    return answer.status_code, issue["code"], issue.get("diagnostics") or issue["details"]["text"]


async def test_expand_by_url_by_id_and_of_what_is_sent(zoo: FhirClient) -> None:
    flat = "excludeNested=true"
    assert _codes(await zoo.get(f"ValueSet/$expand?url={SET}birds&{flat}")) == "bird duck owl"
    assert _codes(await zoo.get(f"ValueSet/$expand?url={SET}birds|1&{flat}")) == "bird duck owl"
    assert _codes(await zoo.get(f"ValueSet/birds/$expand?{flat}")) == "bird duck owl"
    sent = value_set("sent", {"valueSet": [SET + "few"]}, of(ANIMALS, "stone"))
    assert _codes(await zoo.post("ValueSet/$expand", sent)) == "eel stone"
    given = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": sent}]}
    assert _codes(await zoo.post("ValueSet/$expand", given)) == "eel stone"


async def test_an_expansion_nests_codes_as_their_system_does(zoo: FhirClient) -> None:
    answer = (await zoo.get(f"ValueSet/$expand?url={SET}birds")).json()
    inner = [{"system": ANIMALS, "code": c, "display": c.title()} for c in ("duck", "owl")]
    assert answer["expansion"]["contains"] == [
        {"system": ANIMALS, "code": "bird", "display": "Bird", "contains": inner}
    ]
    assert answer["expansion"]["total"] == 3
    assert "compose" not in answer
    assert {"name": "used-codesystem", "valueUri": f"{ANIMALS}|2"} in answer["expansion"]["parameter"]


async def test_expansions_are_filtered_and_paged(zoo: FhirClient) -> None:
    assert _codes(await zoo.get(f"ValueSet/$expand?url={SET}birds&filter=OW")) == "owl"
    page = await zoo.get(f"ValueSet/$expand?url={SET}birds&count=1&offset=1")
    assert (_codes(page), page.json()["expansion"]["total"], page.json()["expansion"]["offset"]) == ("duck", 3, 1)
    assert _codes(await zoo.get(f"ValueSet/$expand?url={SET}birds&count=0")) == ""
    bad = await zoo.get(f"ValueSet/$expand?url={SET}birds&count=-1")
    assert _issue(bad) == (400, "invalid", "count must not be negative.")


async def test_what_is_unknown_is_told_apart(zoo: FhirClient) -> None:
    unknown = await zoo.get(f"ValueSet/$expand?url={SET}none")
    assert _issue(unknown) == (404, "not-found", f"A definition for the value Set '{SET}none' could not be found")
    broken = await zoo.get("ValueSet/broken/$expand")
    assert _issue(broken) == (501, "not-supported", f"{ANIMALS} has no property 'colour' to filter by.")
    assert _issue(await zoo.get("ValueSet/$expand"))[:2] == (400, "invalid")
    assert _issue(await zoo.get("ValueSet/nobody/$expand"))[:2] == (404, "not-found")
    lookup = await zoo.get("CodeSystem/$lookup?system=http://none.org&code=x")
    assert _issue(lookup) == (404, "not-found", "The CodeSystem http://none.org is not known here.")


async def test_a_value_set_of_fhir_is_known(zoo: FhirClient) -> None:
    assert _codes(await zoo.get(f"ValueSet/$expand?url={GENDER}")) == "male female other unknown"


async def test_validate_code(zoo: FhirClient) -> None:
    good = _values(await zoo.get(f"ValueSet/$validate-code?url={SET}birds&system={ANIMALS}&code=owl"))
    assert (good["result"], good["display"], good["version"]) == (True, "Owl", "2")
    bad = _values(await zoo.get(f"ValueSet/birds/$validate-code?system={ANIMALS}&code=eel"))
    text = f"The provided code '{ANIMALS}#eel' was not found in the value set '{SET}birds|1'"
    assert (bad["result"], bad["message"]) == (False, text)
    alone = _values(await zoo.get("CodeSystem/animals/$validate-code?code=unicorn"))
    assert alone["message"] == f"Unknown code 'unicorn' in the CodeSystem '{ANIMALS}' version '2'"
    assert _issue(await zoo.get(f"ValueSet/$validate-code?url={SET}birds"))[:2] == (400, "invalid")
    old = _values(await zoo.get(f"CodeSystem/$validate-code?url={ANIMALS}|1&code=owl"))
    assert (old["result"], old["x-unknown-system"]) == (False, f"{ANIMALS}|1")
    assert _values(await zoo.get(f"CodeSystem/$validate-code?url={ANIMALS}|2&code=owl"))["result"] is True


async def test_many_codes_are_checked_in_one_call(zoo: FhirClient) -> None:
    calls = [
        [{"name": "coding", "valueCoding": {"system": ANIMALS, "code": "owl"}}],
        [{"name": "coding", "valueCoding": {"system": ANIMALS, "code": "eel"}}],
        [{"name": "nothing", "valueString": "x"}],
    ]
    rows: list[Json] = [{"name": "url", "valueUri": SET + "birds"}]
    rows += [{"name": "validation", "resource": {"resourceType": "Parameters", "parameter": call}} for call in calls]
    answer = await zoo.post("ValueSet/$batch-validate-code", {"resourceType": "Parameters", "parameter": rows})
    found = [row["resource"] for row in answer.json()["parameter"]]
    results = [next((p["valueBoolean"] for p in r.get("parameter", ()) if p["name"] == "result"), None) for r in found]
    assert results == [True, False, None]
    assert found[2]["issue"][0]["code"] == "invalid"


async def test_lookup_says_what_a_code_means(zoo: FhirClient) -> None:
    answer = await zoo.get(f"CodeSystem/$lookup?system={ANIMALS}&code=owl&property=parent&property=food")
    found = _values(answer)
    assert (found["name"], found["display"], found["abstract"]) == ("Animals", "Owl", False)
    parts = [row["part"] for row in answer.json()["parameter"] if row["name"] == "property"]
    assert parts == [
        [
            {"name": "code", "valueCode": "parent"},
            {"name": "value", "valueCode": "bird"},
            {"name": "description", "valueString": "Bird"},
        ],
        [{"name": "code", "valueCode": "food"}, {"name": "value", "valueCode": "mice"}],
    ]
    missing = await zoo.get(f"CodeSystem/$lookup?system={ANIMALS}&code=unicorn")
    assert _issue(missing) == (404, "not-found", f"The code system {ANIMALS}|2 has no code 'unicorn'.")


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("animal", "owl", "subsumes"),
        ("owl", "animal", "subsumed-by"),
        ("owl", "owl", "equivalent"),
        ("owl", "eel", "not-subsumed"),
    ],
)
async def test_subsumes(zoo: FhirClient, first: str, second: str, outcome: str) -> None:
    query = f"codeA={first}&codeB={second}"
    for path in (f"CodeSystem/$subsumes?system={ANIMALS}&{query}", f"CodeSystem/animals/$subsumes?{query}"):
        assert _values(await zoo.get(path)) == {"outcome": outcome}


async def test_subsumes_wants_two_codes_of_one_system(zoo: FhirClient) -> None:
    assert _issue(await zoo.get(f"CodeSystem/$subsumes?system={ANIMALS}&codeA=owl"))[2] == "Send codeB or codingB."
    unknown = await zoo.get(f"CodeSystem/$subsumes?system={ANIMALS}&codeA=owl&codeB=unicorn")
    assert _issue(unknown)[:2] == (404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        f"ConceptMap/$translate?url={MAP['url']}&system={ANIMALS}&code=owl",
        f"ConceptMap/food/$translate?system={ANIMALS}&code=owl",
        f"ConceptMap/$translate?system={ANIMALS}&code=owl&targetsystem={FOOD}",
    ],
)
async def test_translate(zoo: FhirClient, path: str) -> None:
    answer = await zoo.get(path)
    assert _values(answer)["result"] is True
    assert [row["part"] for row in answer.json()["parameter"] if row["name"] == "match"] == [
        [
            {"name": "equivalence", "valueCode": "wider"},
            {"name": "concept", "valueCoding": {"system": FOOD, "code": "mice", "display": "Mice"}},
            {"name": "source", "valueUri": MAP["url"]},
        ]
    ]


async def test_a_map_is_read_backwards_and_says_what_it_does_not_know(zoo: FhirClient) -> None:
    back = await zoo.get(f"ConceptMap/food/$translate?system={FOOD}&code=mice&reverse=true")
    match = next(row["part"] for row in back.json()["parameter"] if row["name"] == "match")
    assert (match[0]["valueCode"], match[1]["valueCoding"]["code"]) == ("narrower", "owl")
    nothing = _values(await zoo.get(f"ConceptMap/food/$translate?system={ANIMALS}&code=stone"))
    assert (nothing["result"], nothing["message"]) == (False, "No translation was found.")
    other = await zoo.get(f"ConceptMap/food/$translate?system={ANIMALS}&code=eel")
    match = next(row["part"] for row in other.json()["parameter"] if row["name"] == "match")
    assert (match[0]["valueCode"], match[1]["valueCoding"]["code"]) == ("inexact", "anything")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"code:in={SET}birds", ["a", "b"]),
        (f"code:not-in={SET}birds", ["c", "d"]),
        (f"code:in={SET}few", ["c"]),
        (f"code:below={ANIMALS}|bird", ["a", "b"]),
        (f"code:above={ANIMALS}|owl", ["a", "b"]),
        ("code:in=http://hl7.org/fhir/ValueSet/observation-codes", ["d"]),
        ("code:not-in=http://hl7.org/fhir/ValueSet/observation-codes", ["a", "b", "c"]),
        (f"code:in={ANIMALS}?fhir_vs=isa/fish", ["c"]),
    ],
)
async def test_search_asks_the_terminology_service(seen: FhirClient, query: str, found: list[str]) -> None:
    answer = await seen.get(f"Observation?{query.replace('|', '%7C').replace('?', '%3F')}&_sort=_id")
    assert answer.status_code == 200, answer.text
    assert [entry["resource"]["id"] for entry in answer.json().get("entry", ())] == found


async def test_search_says_which_value_set_or_code_nobody_knows(seen: FhirClient) -> None:
    assert _issue(await seen.get(f"Observation?code:in={SET}none"))[:2] == (404, "not-found")
    assert _issue(await seen.get(f"Observation?code:below={ANIMALS}%7Cunicorn"))[:2] == (404, "not-found")


async def test_metadata_says_which_code_systems_are_here_and_what_can_be_asked(zoo: FhirClient) -> None:
    answer = await zoo.get("metadata?mode=terminology")
    statement = answer.json()
    assert (answer.status_code, statement["resourceType"]) == (200, "TerminologyCapabilities")
    systems = {row["uri"]: row for row in statement["codeSystem"]}
    assert systems[ANIMALS] == {"uri": ANIMALS, "version": [{"code": "2"}]}
    assert "http://hl7.org/fhir/administrative-gender" in systems
    assert {"name": "count"} in statement["expansion"]["parameter"]
    checked = await zoo.post("TerminologyCapabilities/$validate", statement)
    assert [i["diagnostics"] for i in checked.json()["issue"] if i["severity"] == "error"] == []


async def test_a_change_of_a_code_system_is_seen_at_once(zoo: FhirClient) -> None:
    small = {**animals(url="http://example.org/small", concept=[{"code": "a"}]), "id": "small"}
    path = "CodeSystem/$validate-code?url=http://example.org/small&code=b"
    assert (await zoo.put("CodeSystem/small", small)).status_code == 201
    assert _values(await zoo.get(path))["result"] is False
    assert (await zoo.put("CodeSystem/small", {**small, "concept": [{"code": "b"}]})).status_code == 200
    assert _values(await zoo.get(path))["result"] is True
    assert (await zoo.delete("CodeSystem/small")).status_code == 204
    assert _values(await zoo.get(path))["x-unknown-system"] == "http://example.org/small"
