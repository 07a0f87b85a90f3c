"""$closure over the wire: a table is begun, grows, tells again, and loses nothing when many clients are at it.

https://hl7.org/fhir/R4/terminology-service.html#closure
"""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from terminology.closing import CODES
from tests.http.storing import store
from tests.unit.terminology.shelf import ANIMALS, animals, concept

pytestmark = pytest.mark.engine

Json = dict[str, Any]
DEEP = "http://example.org/deep"
CHAIN = [f"c{n}" for n in range(12)]
STORED = "http://example.org/stored"  # as ANIMALS, its concepts in the database
SYSTEMS = pytest.mark.parametrize("system", [ANIMALS, STORED])


def _chain() -> Json:
    row = concept(CHAIN[-1])
    for code in reversed(CHAIN[:-1]):
        row = concept(code, row)
    return {**animals(concept=[row]), "url": DEEP}


@pytest.fixture(scope="module")
async def zoo() -> AsyncIterator[FhirClient]:
    async with fhir_client() as client:
        parts = animals(url="http://example.org/parts", hierarchyMeaning="part-of")
        for name, resource in (("animals", animals()), ("deep", _chain()), ("parts", parts)):
            answer = await client.put(f"CodeSystem/{name}", {**resource, "id": name})
            assert answer.status_code == 201, answer.text
        await store(client, animals(url=STORED))
        yield client


async def closure(
    client: FhirClient, name: str, *codes: str, system: str = ANIMALS, since: str | None = None, **more: str
) -> httpx.Response:
    rows: list[Json] = [{"name": "name", "valueString": name}]
    rows += [{"name": "concept", "valueCoding": {"system": system, "code": code, **more}} for code in codes]
    if since is not None:
        rows.append({"name": "version", "valueString": since})
    return await client.post("$closure", {"resourceType": "Parameters", "parameter": rows})


def told(answer: httpx.Response) -> tuple[str, set[tuple[str, str]]]:
    """Return the version and the pairs (code, code that subsumes it) of an answer."""
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["resourceType"] == "ConceptMap"
    pairs = set()
    for group in found.get("group", ()):
        assert group["source"] == group["target"]
        for row in group["element"]:
            assert {t["equivalence"] for t in row["target"]} == {"subsumes"}
            pairs |= {(row["code"], t["code"]) for t in row["target"]}
    return found["version"], pairs


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["issue"][0]["code"]


@SYSTEMS
async def test_a_table_is_begun_and_answers_with_what_is_new(zoo: FhirClient, system: str) -> None:
    new = f"new of {system}"
    assert told(await closure(zoo, new)) == ("0", set())
    for codes, version, pairs in (
        (["owl"], "1", set()),
        (["animal", "eel"], "2", {("owl", "animal"), ("eel", "animal")}),
        (["bird"], "3", {("owl", "bird"), ("bird", "animal")}),
        (["bird", "owl"], "3", set()),
        (["duck", "fish"], "4", {("duck", "bird"), ("duck", "animal"), ("fish", "animal"), ("eel", "fish")}),
    ):
        assert told(await closure(zoo, new, *codes, system=system)) == (version, pairs)


async def test_what_is_found_in_a_thread_is_the_same(zoo: FhirClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminology.operations.closure.LARGE", 0)
    await closure(zoo, "in a thread")
    assert told(await closure(zoo, "in a thread", "owl", "animal")) == ("1", {("owl", "animal")})


async def test_everything_since_a_version_is_told_again(zoo: FhirClient) -> None:
    await closure(zoo, "again")
    await closure(zoo, "again", "owl", "animal")
    await closure(zoo, "again", "bird")
    later = {("owl", "bird"), ("bird", "animal")}
    assert told(await closure(zoo, "again", since="0")) == ("2", later | {("owl", "animal")})
    assert told(await closure(zoo, "again", since="1")) == ("2", later)
    assert told(await closure(zoo, "again", since="2")) == ("2", set())
    assert told(await closure(zoo, "again", "duck", since="1")) == ("3", later | {("duck", "bird"), ("duck", "animal")})


async def test_a_table_begun_anew_is_empty_and_its_versions_go_on(zoo: FhirClient) -> None:
    await closure(zoo, "anew")
    await closure(zoo, "anew", "owl", "bird")
    assert told(await closure(zoo, "anew")) == ("2", set())
    assert told(await closure(zoo, "anew", since="0")) == ("2", set())
    assert told(await closure(zoo, "anew", "bird", "owl")) == ("3", {("owl", "bird")})


async def test_what_cannot_be_done_is_refused_and_nothing_is_added(zoo: FhirClient) -> None:
    await closure(zoo, "strict")
    assert refused(await closure(zoo, "nobody began this", "owl")) == (404, "not-found")
    assert refused(await closure(zoo, "nobody began this", since="0")) == (404, "not-found")
    for system in (ANIMALS, STORED):
        unknown = await closure(zoo, "strict", "owl", "unicorn", "dragon", system=system)
        assert refused(unknown) == (422, "code-invalid")
        assert [i["expression"] for i in unknown.json()["issue"]] == [
            [f"Parameters.parameter.where(name = 'concept')[{n}].value"] for n in (1, 2)
        ]
    assert refused(await closure(zoo, "strict", "owl", system="")) == (422, "required")
    assert refused(await closure(zoo, "strict", "owl", system="http://example.org/none")) == (404, "not-found")
    assert refused(await closure(zoo, "strict", "owl", system="http://example.org/parts")) == (501, "not-supported")
    assert refused(await closure(zoo, "strict", since="1")) == (422, "invalid")
    assert refused(await closure(zoo, "strict", since="soon")) == (400, "invalid")
    assert refused(await closure(zoo, " ")) == (400, "invalid")
    assert refused(await closure(zoo, "n" * 201)) == (400, "invalid")
    assert told(await closure(zoo, "strict", since="0")) == ("0", set())


async def test_a_table_has_one_version_of_a_code_system(zoo: FhirClient) -> None:
    url = "http://example.org/changing"
    old = {**animals(url=url, version="1"), "id": "changing"}
    assert (await zoo.put("CodeSystem/changing", old)).status_code == 201
    await closure(zoo, "versions")
    await closure(zoo, "versions", "owl", "bird", system=url)
    other = await closure(zoo, "versions", "duck", system=url, version="2")
    assert refused(other) == (422, "business-rule")
    assert (await zoo.put("CodeSystem/changing", {**old, "version": "2"})).status_code == 200
    gone = await closure(zoo, "versions", "duck", system=url)
    assert refused(gone) == (422, "business-rule")
    assert "must be begun anew" in gone.json()["issue"][0]["diagnostics"]
    assert refused(await closure(zoo, "versions", since="0")) == (422, "business-rule")
    assert told(await closure(zoo, "versions", since="1")) == ("1", set())
    await closure(zoo, "versions")
    assert told(await closure(zoo, "versions", "owl", "bird", system=url)) == ("3", {("owl", "bird")})


async def test_of_many_clients_at_once_none_loses_a_pair(zoo: FhirClient) -> None:
    await closure(zoo, "race")
    answers = [told(a) for a in await asyncio.gather(*(closure(zoo, "race", c, system=DEEP) for c in CHAIN))]
    every = {(below, above) for i, above in enumerate(CHAIN) for below in CHAIN[i + 1 :]}
    assert sorted(int(version) for version, _ in answers) == list(range(1, len(CHAIN) + 1))
    assert set().union(*(pairs for _, pairs in answers)) == every
    assert sum(len(pairs) for _, pairs in answers) == len(every)
    assert told(await closure(zoo, "race", since="0")) == (str(len(CHAIN)), every)


async def test_many_clients_may_begin_a_table_at_once(zoo: FhirClient) -> None:
    answers = await asyncio.gather(*(closure(zoo, "begun") for _ in range(6)))
    assert sorted(told(a)[0] for a in answers) == ["0", "1", "2", "3", "4", "5"]


async def test_a_table_is_a_concept_map_and_no_translation(zoo: FhirClient) -> None:
    await closure(zoo, "kept")
    await closure(zoo, "kept", "owl", "bird", "stone")
    kept = (await zoo.get("ConceptMap?identifier=kept")).json()["entry"][0]["resource"]
    assert (kept["version"], "group" in kept) == ("1", False)
    checked = await zoo.post("ConceptMap/$validate", kept)
    assert [i for i in checked.json()["issue"] if i["severity"] == "error"] == []
    query = f"ConceptMap/$translate?system={ANIMALS}&code=owl&targetsystem={ANIMALS}"
    result = (await zoo.get(query)).json()["parameter"][0]
    assert (result["name"], result["valueBoolean"]) == ("result", False)


BOMB = base64.b64encode(zlib.compress(b"1 a\n" * 3_000_000 + b"1 a")).decode()


@pytest.mark.parametrize(
    "damage",
    [
        {"version": "first"},
        {"extension": [{"url": CODES, "extension": [{"url": "system", "valueUri": ANIMALS}]}]},
        *(
            {"extension": [{"url": CODES, "extension": [
                {"url": "system", "valueUri": ANIMALS}, {"url": "codes", "valueBase64Binary": text}]}]}
            for text in ("AAAA", base64.b64encode(zlib.compress(b"owl")).decode(), BOMB)
        ),
    ],
    ids=["version", "no codes", "not packed", "no number", "bomb"],
)  # fmt: skip
async def test_a_table_that_somebody_else_has_written_is_refused(zoo: FhirClient, damage: Json) -> None:
    await closure(zoo, "hurt")
    made = (await zoo.get("ConceptMap?identifier=hurt")).json()["entry"][0]["resource"]
    assert (await zoo.put(f"ConceptMap/{made['id']}", {**made, **damage})).status_code == 200
    assert refused(await closure(zoo, "hurt", "owl")) == (422, "business-rule")
    assert refused(await closure(zoo, "hurt")) == (422, "business-rule")
    assert (await zoo.delete(f"ConceptMap/{made['id']}")).status_code in (200, 204)
    assert told(await closure(zoo, "hurt"))[1] == set()


async def test_a_table_is_changed_by_post_alone(zoo: FhirClient) -> None:
    assert (await zoo.get("$closure?name=new")).status_code == 405
