"""$validate with a server in memory. https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Deleted, InvalidRequest, Issue, NotFound, decode_stored
from operations.conftest import Calling, Records, Server
from operations.validate import validate

Json = dict[str, Any]
PATIENT: Json = {"resourceType": "Patient", "id": "1"}
ALL_OK = [{"severity": "information", "code": "informational", "diagnostics": "All OK"}]


def issues(raw: bytes) -> list[Json]:
    outcome = decode_stored(raw)
    assert outcome["resourceType"] == "OperationOutcome"
    found: list[Json] = outcome["issue"]
    return found


async def test_a_resource_in_order(calling: Calling, records: Records) -> None:
    assert issues(await validate(calling("Patient", resource=PATIENT))) == ALL_OK
    assert records.by_key == {}


async def test_every_issue_is_listed(calling: Calling, server: Server) -> None:
    server.refused["1"] = [Issue("value", "no such code", "Patient.gender"), Issue("required", "missing", "Patient.a")]
    assert issues(await validate(calling("Patient", resource=PATIENT))) == [
        {"severity": "error", "code": "value", "diagnostics": "no such code", "expression": ["Patient.gender"]},
        {"severity": "error", "code": "required", "diagnostics": "missing", "expression": ["Patient.a"]},
    ]


async def test_warnings_are_listed_too(calling: Calling, server: Server) -> None:
    server.refused["1"] = [Issue("invariant", "dom-6", "Patient", "warning")]
    assert [i["severity"] for i in issues(await validate(calling("Patient", resource=PATIENT)))] == ["warning"]


async def test_another_type_than_the_url_says(calling: Calling) -> None:
    found = issues(await validate(calling("Observation", resource=PATIENT)))
    assert [(i["code"], i["expression"]) for i in found] == [("invalid", ["resourceType"])]


async def test_the_stored_resource_where_none_is_sent(calling: Calling, records: Records, server: Server) -> None:
    records.add(PATIENT)
    assert issues(await validate(calling("Patient/1"))) == ALL_OK
    server.refused["1"] = [Issue("value", "stored before the rule")]
    assert [i["diagnostics"] for i in issues(await validate(calling("Patient/1")))] == ["stored before the rule"]


async def test_nothing_to_validate(calling: Calling) -> None:
    with pytest.raises(InvalidRequest, match="Send the resource"):
        await validate(calling("Patient"))


@pytest.mark.parametrize("resource", ["x", [[]], 7])
async def test_what_is_no_resource(calling: Calling, resource: Any) -> None:
    with pytest.raises(InvalidRequest, match="is no resource"):
        await validate(calling("Patient", resource=resource))


@pytest.mark.parametrize("parameters", [{}, {"mode": "delete"}, {"mode": "delete", "resource": PATIENT}])
async def test_no_such_instance(calling: Calling, records: Records, parameters: Json) -> None:
    with pytest.raises(NotFound):
        await validate(calling("Patient/1", **parameters))
    records.add(PATIENT)
    records.delete("Patient/1")
    with pytest.raises(Deleted):
        await validate(calling("Patient/1", **parameters))


async def test_a_deletion_looks_at_no_content(calling: Calling, records: Records, server: Server) -> None:
    records.add(PATIENT)
    server.refused["1"] = [Issue("value", "wrong")]
    assert issues(await validate(calling("Patient/1", mode="delete"))) == ALL_OK
    assert not records.by_key["Patient/1"].deleted


@pytest.mark.parametrize(
    ("on", "resource", "expected"),
    [
        ("Patient/1", PATIENT, []),
        ("Patient", PATIENT, []),
        ("Patient/2", PATIENT, ["An update would be refused: the resource has another id than the URL."]),
        ("Patient", {"resourceType": "Patient"}, ["An update would be refused: the resource has no id."]),
    ],
)
async def test_an_update_needs_the_id_of_the_url(
    calling: Calling, on: str, resource: Json, expected: list[str]
) -> None:
    found = issues(await validate(calling(on, resource=resource, mode="update")))
    assert [i["diagnostics"] for i in found] == (expected or ["All OK"])
    assert issues(await validate(calling(on, resource=resource, mode="create"))) == ALL_OK


@pytest.mark.parametrize(
    ("parameters", "failure", "message"),
    [
        ({"mode": "replace"}, InvalidRequest, "mode must be one of create, update, delete, profile"),
        ({"mode": "profile"}, InvalidRequest, "needs the parameter profile"),
        ({"mode": "delete"}, InvalidRequest, "about one resource"),
    ],
)
async def test_refused_parameters(calling: Calling, parameters: Json, failure: type, message: str) -> None:
    with pytest.raises(failure, match=message):
        await validate(calling("Patient", resource=PATIENT, **parameters))


@pytest.mark.parametrize("mode", [{}, {"mode": "profile"}])
async def test_the_profile_that_is_asked_for_is_passed_on(calling: Calling, server: Server, mode: Json) -> None:
    profile = "http://example.org/p|1.0"
    assert issues(await validate(calling("Patient", resource=PATIENT, profile=profile, **mode))) == ALL_OK
    assert server.profiles == [profile]
