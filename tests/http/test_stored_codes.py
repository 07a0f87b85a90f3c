"""Code systems that were loaded, over HTTP: every operation, searches, and what the server says it has."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api.concepts import Concepts
from fhir_server.testing.client import FhirClient
from tests.conformance.terminology.moving import move
from tests.unit.terminology.shelf import ANIMALS, animals, filtered, value_set

pytestmark = pytest.mark.engine

BIRDS = value_set("birds", filtered("concept", "is-a", "bird"))


@pytest.fixture
async def loaded(server: FhirClient) -> FhirClient:
    """A server with the animals among its stored code systems, and no CodeSystem resource."""
    await move(await stored(server), animals())
    assert (await server.post("ValueSet", BIRDS)).status_code == 201
    return server


async def stored(server: FhirClient) -> Concepts:
    services = server.app.services
    assert services is not None
    tenant = await services.store.tenant("default")
    assert tenant is not None
    return services.concepts.of(tenant)


async def ask(server: FhirClient, path: str) -> dict[str, Any]:
    """Return the answer of an operation, its parameters by name; of several the last."""
    answer = await server.get(path)
    assert answer.status_code == 200, answer.text
    return {row["name"]: next((v for k, v in row.items() if k != "name"), None) for row in answer.json()["parameter"]}


async def test_lookup_tells_everything_about_a_code(loaded: FhirClient) -> None:
    answer = (await loaded.get(f"CodeSystem/$lookup?system={ANIMALS}&code=bird")).json()
    rows = [
        tuple(part.get("valueCode") or part.get("valueString") or part.get("valueBoolean") for part in row["part"])
        for row in answer["parameter"]
        if row["name"] == "property"
    ]
    assert rows == [
        ("inactive", False),
        ("parent", "animal", "Animal"),
        ("child", "duck", "Duck"),
        ("child", "owl", "Owl"),
    ]
    said = await ask(loaded, f"CodeSystem/$lookup?system={ANIMALS}&code=owl&property=food")
    assert (said["display"], said["version"], said["property"][1]["valueCode"]) == ("Owl", "2", "mice")
    assert (await loaded.get(f"CodeSystem/$lookup?system={ANIMALS}&code=cat")).status_code == 404


async def test_codes_are_validated(loaded: FhirClient) -> None:
    assert (await ask(loaded, f"CodeSystem/$validate-code?url={ANIMALS}&code=owl"))["result"] is True
    assert (await ask(loaded, f"CodeSystem/$validate-code?url={ANIMALS}&code=cat"))["result"] is False
    path = f"ValueSet/$validate-code?url={BIRDS['url']}&system={ANIMALS}&code="
    assert [(await ask(loaded, path + code))["result"] for code in ("owl", "bird", "eel", "cat")] == [
        True,
        True,
        False,
        False,
    ]


async def test_codes_subsume_each_other(loaded: FhirClient) -> None:
    path = f"CodeSystem/$subsumes?system={ANIMALS}"
    outcomes = [
        (await ask(loaded, f"{path}&codeA={a}&codeB={b}"))["outcome"]
        for a, b in (("animal", "owl"), ("owl", "bird"), ("owl", "eel"), ("owl", "owl"))
    ]
    assert outcomes == ["subsumes", "subsumed-by", "not-subsumed", "equivalent"]


async def test_value_sets_are_expanded_in_pages(loaded: FhirClient) -> None:
    answer = (await loaded.get(f"ValueSet/$expand?url={BIRDS['url']}&offset=1&count=1")).json()["expansion"]
    assert (answer["total"], answer["offset"], answer["contains"]) == (
        3, 1, [{"system": ANIMALS, "code": "duck", "display": "Duck"}],
    )  # fmt: skip
    assert {"name": "used-codesystem", "valueUri": f"{ANIMALS}|2"} in answer["parameter"]


async def test_searches_follow_the_hierarchy_and_value_sets(loaded: FhirClient) -> None:
    for code in ("owl", "eel", "animal"):
        body = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": ANIMALS, "code": code}]},
        }
        assert (await loaded.post("Observation", body)).status_code == 201

    async def found(query: str) -> list[str]:
        rows = (await loaded.get(f"Observation?{query}")).json()["entry"]
        return sorted(r["resource"]["code"]["coding"][0]["code"] for r in rows if r["search"]["mode"] == "match")

    assert await found(f"code:in={BIRDS['url']}") == ["owl"]
    assert await found(f"code:not-in={BIRDS['url']}") == ["animal", "eel"]
    assert await found(f"code:below={ANIMALS}%7Cfish") == ["eel"]
    assert await found(f"code:above={ANIMALS}%7Cowl") == ["animal", "owl"]


async def test_the_server_lists_what_was_loaded(loaded: FhirClient) -> None:
    await move(await stored(loaded), animals(version="3"))
    statement = (await loaded.get("metadata?mode=terminology")).json()
    rows = [row for row in statement["codeSystem"] if row["uri"] == ANIMALS]
    assert rows == [{"uri": ANIMALS, "version": [{"code": "2"}, {"code": "3"}]}]


async def test_a_system_that_is_removed_is_unknown(loaded: FhirClient) -> None:
    concepts = await stored(loaded)
    for system in await concepts.all():
        assert await concepts.remove(system.key)
    assert (await loaded.get(f"CodeSystem/$lookup?system={ANIMALS}&code=owl")).status_code == 404
    assert (await loaded.get(f"ValueSet/$expand?url={BIRDS['url']}")).status_code == 404


async def test_a_value_set_that_is_changed_answers_anew_at_once(loaded: FhirClient) -> None:
    path = f"ValueSet/$validate-code?url={BIRDS['url']}&system={ANIMALS}&code=eel"
    assert (await ask(loaded, path))["result"] is False
    changed = {**value_set("birds", filtered("concept", "is-a", "fish")), "id": "fish", "version": "2"}
    assert (await loaded.put("ValueSet/fish", changed)).status_code == 201
    assert (await ask(loaded, path))["result"] is True
    assert (await loaded.delete("ValueSet/fish")).status_code == 204
    assert (await ask(loaded, path))["result"] is False
