"""$meta-add with a server in memory. https://hl7.org/fhir/R4/resource-operation-meta-add.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Issue, NotFound, Unprocessable
from operations.conftest import Calling, Records, Server
from operations.meta_add import meta_add

Json = dict[str, Any]
RED: Json = {"system": "urn:x", "code": "red", "display": "Red"}
BLUE: Json = {"system": "urn:x", "code": "blue"}


@pytest.fixture(autouse=True)
def patient(records: Records) -> None:
    records.add({"resourceType": "Patient", "id": "1", "meta": {"tag": [RED], "source": "urn:a"}})


async def test_labels_join_those_there(calling: Calling, records: Records) -> None:
    given = {"tag": [BLUE], "profile": ["http://p/1"], "security": [BLUE], "source": "urn:b", "versionId": "77"}
    answer = await meta_add(calling("Patient/1", meta=given))
    new = {
        "versionId": "1",
        "tag": [RED, BLUE],
        "source": "urn:a",
        "profile": ["http://p/1"],
        "security": [BLUE],
    }
    assert answer == {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": new}]}
    assert records.json("Patient/1")["meta"] == new


async def test_what_is_there_is_not_doubled(calling: Calling, records: Records) -> None:
    await meta_add(calling("Patient/1", meta={"tag": [{"system": "urn:x", "code": "red"}, BLUE, BLUE]}))
    assert records.json("Patient/1")["meta"]["tag"] == [RED, BLUE]


@pytest.mark.parametrize("given", [{}, {"source": "urn:b"}, {"tag": []}])
async def test_nothing_to_add(calling: Calling, records: Records, given: Json) -> None:
    with pytest.raises(Unprocessable, match="must have a profile, a tag or a security label"):
        await meta_add(calling("Patient/1", meta=given))
    assert records.by_key["Patient/1"].version == 1


async def test_a_meta_that_breaks_the_rules(calling: Calling, server: Server, records: Records) -> None:
    server.refused[""] = [Issue("structure", "tag is an array", "Parameters.meta.tag")]
    with pytest.raises(Unprocessable) as refused:
        await meta_add(calling("Patient/1", meta={"tag": "red"}))
    assert refused.value.issues == tuple(server.refused[""])
    assert records.by_key["Patient/1"].version == 1


async def test_no_such_resource(calling: Calling) -> None:
    with pytest.raises(NotFound):
        await meta_add(calling("Patient/2", meta={"tag": [RED]}))
