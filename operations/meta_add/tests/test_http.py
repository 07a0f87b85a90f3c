"""$meta-add over HTTP, on a database."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

RED: Json = {"system": "urn:x", "code": "red"}
BLUE: Json = {"system": "urn:x", "code": "blue"}


def parameters(meta: Any) -> Json:
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


async def test_a_label_makes_a_version_that_a_search_finds(http: FhirClient) -> None:
    await http.put("Basic/add", {"resourceType": "Basic", "id": "add", "code": {"text": "x"}, "meta": {"tag": [RED]}})
    answer = await http.post("Basic/add/$meta-add", parameters({"tag": [BLUE]}))
    assert answer.status_code == 200, answer.text
    stored = (await http.get("Basic/add")).json()
    assert (stored["meta"]["versionId"], stored["meta"]["tag"]) == ("2", [RED, BLUE])
    assert answer.json()["parameter"] == [{"name": "return", "valueMeta": stored["meta"]}]
    found = (await http.get("Basic?_tag=urn:x|blue")).json()
    assert [e["resource"]["id"] for e in found["entry"]] == ["add"]
    await http.post("Basic/add/$meta-add", parameters({"tag": [BLUE]}))
    assert (await http.get("Basic/add")).json()["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    "meta", [{"tag": "red"}, {"tag": [{"system": 7}]}, {"colour": "red"}, {"source": "urn:a"}, "x", {}]
)
async def test_what_is_no_meta_changes_nothing(http: FhirClient, meta: Any) -> None:
    await http.put("Basic/kept", {"resourceType": "Basic", "id": "kept", "code": {"text": "x"}})
    answer = await http.post("Basic/kept/$meta-add", parameters(meta))
    assert answer.status_code in (400, 422), answer.text
    assert (await http.get("Basic/kept")).json()["meta"]["versionId"] == "1"


async def test_get_is_not_for_changes(http: FhirClient) -> None:
    assert (await http.get("Basic/add/$meta-add")).status_code == 405
    assert (await http.post("Basic/nothing/$meta-add", parameters({"tag": [RED]}))).status_code == 404
