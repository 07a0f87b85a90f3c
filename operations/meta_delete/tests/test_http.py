"""$meta-delete over HTTP, on a database."""

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


async def test_a_label_goes_and_no_search_finds_it(http: FhirClient) -> None:
    labels = {"tag": [RED, BLUE]}
    await http.put("Basic/del", {"resourceType": "Basic", "id": "del", "code": {"text": "x"}, "meta": labels})
    answer = await http.post("Basic/del/$meta-delete", parameters({"tag": [RED]}))
    assert answer.status_code == 200, answer.text
    stored = (await http.get("Basic/del")).json()
    assert (stored["meta"]["versionId"], stored["meta"]["tag"]) == ("2", [BLUE])
    assert answer.json()["parameter"] == [{"name": "return", "valueMeta": stored["meta"]}]
    found = (await http.get("Basic?_tag=urn:x|red&_id=del")).json()
    assert found.get("entry", []) == []
    await http.post("Basic/del/$meta-delete", parameters({"tag": [RED]}))
    assert (await http.get("Basic/del")).json()["meta"]["versionId"] == "2"
    await http.post("Basic/del/$meta-delete", parameters({"tag": [BLUE]}))
    assert set((await http.get("Basic/del")).json()["meta"]) == {"versionId", "lastUpdated"}


async def test_get_is_not_for_changes(http: FhirClient) -> None:
    assert (await http.get("Basic/del/$meta-delete")).status_code == 405
    assert (await http.post("Basic/nothing/$meta-delete", parameters({"tag": [RED]}))).status_code == 404
