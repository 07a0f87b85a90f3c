"""What $reindex hands over, and what it refuses."""

from __future__ import annotations

import pytest

from fhir_server.api import InvalidRequest, Job
from operations.conftest import TYPES, Calling
from operations.reindex import OPERATION


async def test_one_resource_is_indexed_at_once(calling: Calling) -> None:
    assert OPERATION.instance is not None
    assert await OPERATION.instance(calling("Patient/1")) == {"resourceType": "Parameters", "id": "Patient/1"}


async def test_a_type_is_a_job(calling: Calling) -> None:
    assert OPERATION.type is not None
    assert await OPERATION.type(calling("Patient")) == Job("reindex", {"types": ["Patient"]})
    with pytest.raises(InvalidRequest):
        await OPERATION.type(calling("Patient", type=["Observation"]))


async def test_the_system_is_a_job_of_all_types_or_some(calling: Calling) -> None:
    assert OPERATION.system is not None
    assert await OPERATION.system(calling()) == Job("reindex", {"types": sorted(TYPES)})
    some = await OPERATION.system(calling(type=["Patient,Observation", "Patient"]))
    assert some == Job("reindex", {"types": ["Observation", "Patient"]})
    with pytest.raises(InvalidRequest) as refused:
        await OPERATION.system(calling(type=["Pateint"]))
    assert refused.value.issues[0].location == "http.type"
