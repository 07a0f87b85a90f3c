"""$meta over HTTP, on a database."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

TAG: Json = {"system": "urn:meta-test", "code": "seen"}


async def test_of_one_of_a_type_and_of_all(http: FhirClient) -> None:
    made = await http.put(
        "Basic/m", {"resourceType": "Basic", "id": "m", "code": {"text": "x"}, "meta": {"tag": [TAG]}}
    )
    assert made.status_code == 201, made.text
    one = (await http.get("Basic/m/$meta")).json()
    assert one["parameter"] == [{"name": "return", "valueMeta": made.json()["meta"]}]
    of_type = (await http.get("Basic/$meta")).json()
    assert of_type["parameter"] == [{"name": "return", "valueMeta": {"tag": [TAG]}}]
    assert TAG in (await http.get("$meta")).json()["parameter"][0]["valueMeta"]["tag"]


async def test_nothing_there(http: FhirClient) -> None:
    assert (await http.get("Basic/nothing/$meta")).status_code == 404
    assert (await http.get("Slot/$meta")).json() == {"resourceType": "Parameters"}
