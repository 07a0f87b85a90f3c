"""$graphql over HTTP, on a database."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]
pytestmark = pytest.mark.engine

ANSWERED = "application/json; charset=utf-8"
RECORDS: list[Json] = [
    {"resourceType": "Organization", "id": "hospital", "name": "Hospital"},
    *(
        {
            "resourceType": "Patient",
            "id": name,
            "active": name != "c",
            "name": [{"family": family, "given": ["Eva"]}],
            "birthDate": born,
            "managingOrganization": {"reference": "Organization/hospital"},
        }
        for name, family, born in (("a", "Chalmers", "1950"), ("b", "Chan", "1960"), ("c", "Ng", "1970"))
    ),
    *(
        {
            "resourceType": "Condition",
            "id": f"{patient}{number}",
            "subject": {"reference": f"Patient/{patient}"},
            "asserter": {"reference": "Patient/c"},
            "code": {"text": f"condition {number}"},
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active" if number % 2 else "resolved",
                    }
                ]
            },
        }
        for patient in "ab"
        for number in range(1, 4)
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[FhirClient, None]:
    async with fhir_client() as http:
        for resource in RECORDS:
            answer = await http.put(f"{resource['resourceType']}/{resource['id']}", resource)
            assert answer.status_code == 201, answer.text
        yield http


async def get(http: FhirClient, query: str, on: str = "$graphql", **more: str) -> httpx.Response:
    rest = "".join(f"&{name}={quote(value)}" for name, value in more.items())
    return await http.get(f"{on}?query={quote(query)}{rest}")


async def data(http: FhirClient, query: str, on: str = "$graphql", **more: str) -> Json:
    answer = await get(http, query, on, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ANSWERED
    found: Json = answer.json()
    assert set(found) == {"data"}
    return dict(found["data"])


async def refusal(answer: httpx.Response, status: int) -> str:
    """Return the message of the only error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == ANSWERED
    assert answer.json()["data"] is None
    (error,) = answer.json()["errors"]
    assert error["extensions"]["resource"]["issue"][0]["diagnostics"] == error["message"]
    message: str = error["message"]
    return message


async def test_a_query_in_every_way_it_can_be_sent(server: FhirClient) -> None:
    query = "query q { id name { family } }"
    on, expected = "Patient/a/$graphql", {"data": {"id": "a", "name": [{"family": "Chalmers"}]}}
    whole = json.dumps({"query": query, "operationName": "q"}).encode()
    form = f"query={quote(query)}".encode()
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "query", "valueString": query}]}
    for answer in (
        await server.get(f"{on}?query={quote(query)}&operationName=q&variables=%7B%7D"),
        await server.send("POST", on, whole, content_type="application/json"),
        await server.send("POST", on, whole, content_type="application/fhir+json"),
        await server.send("POST", on, query.encode(), content_type="application/graphql; charset=utf-8"),
        await server.send("POST", on, form, content_type="application/x-www-form-urlencoded"),
        await server.send("POST", f"{on}?query={quote(query)}"),
        await server.post(on, parameters),
        await server.get(f"{on}?query={quote(query)}", accept="application/json"),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == ANSWERED
        assert answer.json() == expected


async def test_variables_in_the_url_and_in_the_body(server: FhirClient) -> None:
    query = "query($id: ID!) { Patient(id: $id) { id } }"
    assert await data(server, query, variables='{"id": "b"}') == {"Patient": {"id": "b"}}
    body = json.dumps({"query": query, "variables": {"id": "b"}}).encode()
    answer = await server.send("POST", "$graphql", body, content_type="application/json")
    assert answer.json() == {"data": {"Patient": {"id": "b"}}}
    answer = await server.send(
        "POST", "$graphql?variables=%7B%22id%22%3A%22c%22%7D", query.encode(), content_type="application/graphql"
    )
    assert answer.json() == {"data": {"Patient": {"id": "c"}}}


async def test_searches_with_the_parameters_of_rest(server: FhirClient) -> None:
    assert await data(server, '{ PatientList(name: "Cha", _sort: "-birthdate") { id } }') == {
        "PatientList": [{"id": "b"}, {"id": "a"}]
    }
    assert await data(server, "{ PatientList(_id: [a, c], active: true) { id } }") == {"PatientList": [{"id": "a"}]}
    assert await data(server, '{ PatientList(birthdate: "ge1960", _count: 1, _sort: birthdate) { id } }') == {
        "PatientList": [{"id": "b"}]
    }
    assert await data(server, '{ ConditionList(clinical_status: "active", patient: "a", _sort: "_id") { id } }') == {
        "ConditionList": [{"id": "a1"}, {"id": "a3"}]
    }
    assert await data(server, '{ PatientList(name: "Ch,Ng") { id } }') == {}


async def test_reverse_searches_of_a_list(server: FhirClient) -> None:
    query = """
      { PatientList(_sort: "_id") { id
          ConditionList(_reference: patient, clinical_status: active, _sort: "_id") { id subject { resource { id } } }
          managingOrganization { resource { ... on Organization { name } } } } }
    """
    hospital = {"resource": {"name": "Hospital"}}

    def condition(name: str) -> Json:
        return {"id": name, "subject": {"resource": {"id": name[0]}}}

    assert (await data(server, query))["PatientList"] == [
        {"id": "a", "ConditionList": [condition("a1"), condition("a3")], "managingOrganization": hospital},
        {"id": "b", "ConditionList": [condition("b1"), condition("b3")], "managingOrganization": hospital},
        {"id": "c", "managingOrganization": hospital},
    ]


async def test_a_reference_to_a_version(server: FhirClient) -> None:
    patient = {"resourceType": "Patient", "id": "changed"}
    for gender in ("male", "female"):
        await server.put("Patient/changed", {**patient, "gender": gender})
    for version, gender in ((1, "male"), (2, "female")):
        encounter = {
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/changed/_history/{version}"},
        }
        assert (await server.put("Encounter/e", encounter)).status_code in (200, 201)
        found = await data(server, "{ subject { resource { ... on Patient { gender } } } }", "Encounter/e/$graphql")
        assert found == {"subject": {"resource": {"gender": gender}}}
    await server.delete("Encounter/e")
    await server.delete("Patient/changed")


async def test_a_connection_page_by_page(server: FhirClient) -> None:
    fields = "{ count offset pageSize next first edges { mode resource { id } } }"
    query = f'{{ ConditionConnection(patient: "a", _count: 2, _sort: "-_id") {fields} }}'
    first = (await data(server, query))["ConditionConnection"]
    assert (first["count"], first["offset"], first["pageSize"]) == (3, 0, 2)
    assert first["edges"] == [{"mode": "match", "resource": {"id": "a3"}}, {"mode": "match", "resource": {"id": "a2"}}]
    second = (await data(server, f'{{ ConditionConnection(_cursor: "{first["next"]}") {fields} }}'))[
        "ConditionConnection"
    ]
    assert (second["count"], second["offset"], second["pageSize"]) == (3, 2, 2)
    assert second["edges"] == [{"mode": "match", "resource": {"id": "a1"}}]
    assert "next" not in second
    again = await data(server, f'{{ ConditionConnection(_cursor: "{second["first"]}") {fields} }}')
    assert again["ConditionConnection"] == first


async def test_a_reverse_connection_goes_on_at_the_root(server: FhirClient) -> None:
    query = '{ ConditionConnection(_reference: patient, _count: 2, _sort: "_id") { next edges { resource { id } } } }'
    first = (await data(server, query, "Patient/b/$graphql"))["ConditionConnection"]
    for on in ("$graphql", "Patient/a/$graphql"):
        query = f'{{ ConditionConnection(_cursor: "{first["next"]}") {{ next edges {{ resource {{ id }} }} }} }}'
        found = await data(server, query, on)
        assert found == {"ConditionConnection": {"edges": [{"resource": {"id": "b3"}}]}}


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("{ id }", 400, "There is no id to query."),
        ("{ Patient(id: a) { id ", 400, "Syntax error: Expected Name, found <EOF>."),
        ("{ PatientList(colour: red) { id } }", 400, "colour is not a search parameter here."),
        ("{ PatientList(birthdate: soon) { id } }", 400, "birthdate"),
        ('{ PatientConnection(_cursor: "made-up") { count } }', 400, "The page link is not one this server gave"),
        ("{ Patient(id: nobody) { id } }", 404, "There is no Patient/nobody."),
        ("{ PatientList { ConditionList(_reference: code) { id } } }", 400, "Condition has no reference parameter"),
        ("mutation { PatientDelete(id: a) { id } }", 501, "A mutation is not supported"),
    ],
)  # fmt: skip
async def test_refusals(server: FhirClient, query: str, status: int, message: str) -> None:
    answer = await get(server, query)
    assert (await refusal(answer, status)).startswith(message)
    assert "locations" in answer.json()["errors"][0]


@pytest.mark.parametrize(
    ("body", "content", "message"),
    [
        ("", "application/json", "Send the query as the parameter query"),
        ("{}", "application/json", "Send the query as the parameter query"),
        ("[]", "application/json", "The body must be one JSON object"),
        ('{"query": 1}', "application/json", "query must be text."),
        ('{"query": "{ id }", "variables": []}', "application/json", "variables must be a JSON object."),
        ('{"query": "{ id }", "operationName": 1}', "application/json", "operationName must be text."),
    ],
)
async def test_bodies_that_are_no_query(server: FhirClient, body: str, content: str, message: str) -> None:
    answer = await server.send("POST", "Patient/a/$graphql", body.encode(), content_type=content)
    assert (await refusal(answer, 400)).startswith(message)


async def test_variables_that_are_no_json(server: FhirClient) -> None:
    answer = await get(server, "{ id }", "Patient/a/$graphql", variables="{")
    assert (await refusal(answer, 400)).startswith("variables is not acceptable JSON")


async def test_other_operations_take_no_graphql(server: FhirClient) -> None:
    answer = await server.send("POST", "Patient/$validate", b"{ id }", content_type="application/graphql")
    assert answer.status_code == 415
    answer = await server.send("POST", "Patient", b"{ id }", content_type="application/graphql")
    assert answer.status_code == 415
    answer = await server.send("POST", "Patient/a/$graphql", b"\xff", content_type="application/graphql")
    assert answer.status_code == 400


async def test_there_is_none_on_types(server: FhirClient) -> None:
    assert (await get(server, "{ id }", "Patient/$graphql")).status_code == 404


async def test_in_a_batch_the_answer_is_in_a_binary(server: FhirClient) -> None:
    def entry(query: str) -> Json:
        return {"request": {"method": "GET", "url": f"Patient/a/$graphql?query={quote(query)}"}}

    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry("{ id }"), entry("{ colour }")]}
    good, bad = (await server.post("", batch)).json()["entry"]
    assert good["response"]["status"] == "200 OK"
    assert (good["resource"]["resourceType"], good["resource"]["contentType"]) == ("Binary", ANSWERED)
    assert json.loads(b64decode(good["resource"]["data"])) == {"data": {"id": "a"}}
    assert bad["response"]["status"] == "400 Bad Request"
    assert bad["response"]["outcome"]["issue"][0]["diagnostics"] == "Patient has no field colour."


async def test_it_is_in_the_capability_statement(server: FhirClient) -> None:
    rest = (await server.get("metadata")).json()["rest"][0]
    url = "http://hl7.org/fhir/OperationDefinition/Resource-graphql"
    assert url in [row["definition"] for row in rest["operation"]]
