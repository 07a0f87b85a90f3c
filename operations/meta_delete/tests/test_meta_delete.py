"""$meta-delete with a server in memory. https://hl7.org/fhir/R4/resource-operation-meta-delete.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Issue, NotFound, Unprocessable
from operations.conftest import Calling, Records, Server
from operations.meta_delete import meta_delete

Json = dict[str, Any]
RED: Json = {"system": "urn:x", "code": "red", "display": "Red"}
BLUE: Json = {"system": "urn:x", "code": "blue"}


@pytest.fixture(autouse=True)
def patient(records: Records) -> None:
    meta = {"tag": [RED, BLUE], "profile": ["http://p/1"], "security": [RED], "source": "urn:a"}
    records.add({"resourceType": "Patient", "id": "1", "meta": meta})


async def test_labels_go_by_system_and_code(calling: Calling, records: Records) -> None:
    given = {"tag": [{"system": "urn:x", "code": "red"}], "profile": ["http://p/1", "http://p/9"], "source": "urn:a"}
    answer = await meta_delete(calling("Patient/1", meta=given))
    new = {"versionId": "1", "tag": [BLUE], "security": [RED], "source": "urn:a"}
    assert answer == {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": new}]}
    assert records.json("Patient/1")["meta"] == new


async def test_what_is_not_there_is_passed_over(calling: Calling, records: Records) -> None:
    before = records.json("Patient/1")["meta"]
    await meta_delete(calling("Patient/1", meta={"tag": [{"system": "urn:y", "code": "red"}]}))
    assert records.json("Patient/1")["meta"] == before


@pytest.mark.parametrize("given", [{}, {"source": "urn:a"}, {"tag": []}])
async def test_nothing_to_delete(calling: Calling, records: Records, given: Json) -> None:
    with pytest.raises(Unprocessable, match="must have a profile, a tag or a security label"):
        await meta_delete(calling("Patient/1", meta=given))
    assert records.by_key["Patient/1"].version == 1


async def test_a_meta_that_breaks_the_rules(calling: Calling, server: Server, records: Records) -> None:
    server.refused[""] = [Issue("structure", "tag is an array", "Parameters.meta.tag")]
    with pytest.raises(Unprocessable) as refused:
        await meta_delete(calling("Patient/1", meta={"tag": "red"}))
    assert refused.value.issues == tuple(server.refused[""])
    assert records.by_key["Patient/1"].version == 1


async def test_no_such_resource(calling: Calling) -> None:
    with pytest.raises(NotFound):
        await meta_delete(calling("Patient/2", meta={"tag": [RED]}))
