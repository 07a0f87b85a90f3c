"""$meta with a server in memory. https://hl7.org/fhir/R4/resource-operation-meta.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Deleted, NotFound, TooCostly
from operations import meta
from operations.conftest import Calling, Records

Json = dict[str, Any]
RED: Json = {"system": "urn:x", "code": "red"}
BLUE: Json = {"system": "urn:x", "code": "blue"}
SECRET: Json = {"system": "urn:s", "code": "R"}


@pytest.fixture(autouse=True)
def labelled(records: Records) -> None:
    records.add({"resourceType": "Patient", "id": "1", "meta": {"tag": [RED], "profile": ["http://p/2"]}})
    records.add({"resourceType": "Patient", "id": "2", "meta": {"tag": [{**RED, "display": "Red"}, BLUE]}})
    records.add({"resourceType": "Observation", "id": "3", "meta": {"security": [SECRET], "profile": ["http://p/1"]}})
    records.add({"resourceType": "Observation", "id": "4"})


def returned(answer: Json) -> Json:
    assert answer["resourceType"] == "Parameters"
    ((parameter),) = answer["parameter"]
    assert parameter["name"] == "return"
    value: Json = parameter["valueMeta"]
    return value


async def test_of_one(calling: Calling) -> None:
    answer = await meta.meta_of_one(calling("Patient/1"))
    assert returned(answer) == {"versionId": "1", "tag": [RED], "profile": ["http://p/2"]}


async def test_of_none(calling: Calling, records: Records) -> None:
    with pytest.raises(NotFound):
        await meta.meta_of_one(calling("Patient/9"))
    records.delete("Patient/1")
    with pytest.raises(Deleted):
        await meta.meta_of_one(calling("Patient/1"))


async def test_of_a_type(calling: Calling) -> None:
    assert returned(await meta.meta_in_use(calling("Patient"))) == {"profile": ["http://p/2"], "tag": [BLUE, RED]}


@pytest.mark.parametrize("chunk", [1, 2, 500])
async def test_of_everything(calling: Calling, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(meta, "CHUNK", chunk)
    assert returned(await meta.meta_in_use(calling())) == {
        "profile": ["http://p/1", "http://p/2"],
        "security": [SECRET],
        "tag": [BLUE, RED],
    }


async def test_nothing_in_use(calling: Calling) -> None:
    assert await meta.meta_in_use(calling("Encounter")) == {"resourceType": "Parameters"}


async def test_too_many_to_look_through(calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta, "MAX_RESOURCES", 3)
    with pytest.raises(TooCostly, match="Ask for one type, or for one resource"):
        await meta.meta_in_use(calling())
    monkeypatch.setattr(meta, "MAX_RESOURCES", 4)
    assert returned(await meta.meta_in_use(calling()))["security"] == [SECRET]
