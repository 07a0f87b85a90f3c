"""CodeSystem/$find-matches over the wire. https://hl7.org/fhir/R4/codesystem-operation-find-matches.html"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.http.storing import store
from tests.unit.terminology.shelf import ANIMALS, animals, concept

pytestmark = pytest.mark.engine

Json = dict[str, Any]
MANY = "http://example.org/many"
STORED = "http://example.org/stored"  # as ANIMALS, its concepts in the database
SYSTEMS = pytest.mark.parametrize("system", [ANIMALS, STORED])


@pytest.fixture(scope="module")
async def zoo() -> AsyncIterator[FhirClient]:
    async with fhir_client() as client:
        many = animals(url=MANY, concept=[concept(f"c{n}", food="all") for n in range(1_001)])
        for name, resource in (("animals", animals()), ("many", many)):
            answer = await client.put(f"CodeSystem/{name}", {**resource, "id": name})
            assert answer.status_code == 201, answer.text
        await store(client, animals(url=STORED))
        yield client


def wish(code: str, *more: Json, **value: Any) -> Json:
    rows = [{"name": "code", "valueCode": code}, *({"name": "value", k: v} for k, v in value.items()), *more]
    return {"name": "property", "part": rows}


async def ask(client: FhirClient, *rows: Json, path: str = "CodeSystem/$find-matches", system: str = ANIMALS) -> Any:
    named = [{"name": "system", "valueUri": system}] if system else []
    return await client.post(path, {"resourceType": "Parameters", "parameter": [*named, *rows]})


EXACT = {"name": "exact", "valueBoolean": True}
MICE = wish("food", valueCode="mice")
FLIES = wish("flies", valueBoolean=True)


def rows(answer: httpx.Response) -> list[list[Json]]:
    assert answer.status_code == 200, answer.text
    return [row["part"] for row in answer.json().get("parameter", ())]


@SYSTEMS
async def test_complete_matches_come_first_and_partial_ones_say_what_they_lack(zoo: FhirClient, system: str) -> None:
    owl, duck = rows(await ask(zoo, EXACT, FLIES, MICE, system=system))
    assert owl == [{"name": "code", "valueCoding": {"system": system, "version": "2", "code": "owl", "display": "Owl"}}]
    assert duck[0]["valueCoding"]["code"] == "duck"
    assert duck[1:] == [{"name": "unmatched", "part": MICE["part"]}]


async def test_for_people_there_are_possible_matches_with_a_comment(zoo: FhirClient) -> None:
    [owl] = rows(await ask(zoo, wish("display", valueString="ow")))
    assert owl[-1] == {"name": "comment", "valueString": "A possible match: display has the words of 'ow'."}
    assert rows(await ask(zoo, EXACT, wish("display", valueString="ow"))) == []
    comments = [row[-1]["valueString"] for row in rows(await ask(zoo, FLIES, MICE))]
    assert comments == ["A complete match.", "A partial match."]


@SYSTEMS
@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ([wish("parent", valueCode="bird")], "duck owl"),
        ([wish("child", valueCode="owl")], "bird"),
        ([wish("ancestor", valueCode="animal"), wish("code", valueCode="owl")], "owl bird duck fish eel"),
        ([wish("code", valueCode="owl")], "owl"),
        ([wish("food")], "duck owl eel"),
        ([wish("display", valueString="Ow")], "owl"),
        ([wish("status", valueCode="retired")], "stone"),
        ([wish("parent", valueCode="unicorn")], ""),
    ],
)
async def test_codes_are_found(zoo: FhirClient, system: str, given: list[Json], codes: str) -> None:
    found = rows(await ask(zoo, *given, system=system))
    assert " ".join(row[0]["valueCoding"]["code"] for row in found) == codes


async def test_what_is_not_indexed_is_not_looked_for_in_the_database(zoo: FhirClient) -> None:
    answer = await ask(zoo, wish("definition", valueString="bird"), system=STORED)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (501, "not-supported")
    assert len(rows(await ask(zoo, wish("definition", valueString="bird"), MICE))) == 1


async def test_on_one_code_system_and_with_a_version(zoo: FhirClient) -> None:
    assert len(rows(await ask(zoo, EXACT, MICE, path="CodeSystem/animals/$find-matches", system=""))) == 1
    assert len(rows(await ask(zoo, EXACT, MICE, {"name": "version", "valueString": "2"}))) == 1
    assert (await ask(zoo, EXACT, MICE, {"name": "version", "valueString": "9"})).status_code == 404


async def test_a_property_the_system_lacks_is_one_that_no_code_has(zoo: FhirClient) -> None:
    [owl] = rows(await ask(zoo, EXACT, MICE, wish("colour", valueCode="red")))
    assert owl[1] == {"name": "unmatched", "part": wish("colour", valueCode="red")["part"]}


@pytest.mark.parametrize(
    ("given", "system", "expected"),
    [
        ([], ANIMALS, (400, "invalid")),
        ([MICE], "", (400, "invalid")),
        ([MICE], "http://example.org/none", (404, "not-found")),
        ([MICE], "http://snomed.info/sct", (501, "not-supported")),
        ([wish("colour", valueCode="red")], ANIMALS, (422, "invalid")),
        ([{"name": "property", "part": [{"name": "value", "valueCode": "mice"}]}], ANIMALS, (400, "invalid")),
        ([{"name": "property", "part": ["mice"]}], ANIMALS, (400, "invalid")),
        (
            [wish("food", {"name": "subproperty", "part": [{"name": "code", "valueCode": "x"}]})],
            ANIMALS,
            (400, "invalid"),
        ),
        ([wish("food", {"name": "more", "valueCode": "x"})], ANIMALS, (400, "invalid")),
        ([MICE] * 51, ANIMALS, (400, "invalid")),
        ([wish("food", valueCode="all")], MANY, (422, "too-costly")),
    ],
)
async def test_what_cannot_be_answered(zoo: FhirClient, given: list[Json], system: str, expected: Any) -> None:
    answer = await ask(zoo, *given, system=system)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == expected, answer.text
