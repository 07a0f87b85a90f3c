"""The GraphQL cases of the FHIR test cases, https://github.com/FHIR/fhir-test-cases (r4/graphql), over HTTP.

Each runs on the resources of the same suite, sent as they are; one that a case wants to be missing is missing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from fhir_server.api import encode
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.fhirpath.xml_to_json import resource_from_xml

Json = dict[str, Any]

SUITE = Path(__file__).parents[4] / "shared/data/fhir-test-cases/r4"
CASES = SUITE / "graphql"
EXAMPLES = SUITE / "examples"
# What the searches of the suite find, whatever they ask for.
FOUND = ("patient-example.json", "patient-example-xds.xml")
RESOURCES = (
    *FOUND,
    "patient-glossy-example.xml",
    "observation-example.json",
    "observation-example-20minute-apgar-score.xml",
    "medicationdispenseexample8.xml",
    "condition-example.json",
)
# The suite sets this in its own program, not in the manifest.
VARIABLES = {"directive-variable": {"var": True}}
# The apgar score is about this patient, whom the suite's program makes up when it is asked to resolve the reference.
NEWBORN: Json = {
    "resourceType": "Patient",
    "id": "newborn",
    "birthDate": "2016-05-18",
    "_birthDate": {
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                "valueDateTime": "2016-05-18T10:28:45Z",
            }
        ]
    },
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/data/fhir-test-cases"),
]


def cases() -> list[Any]:
    if not CASES.is_dir():
        return []
    tests = ElementTree.parse(CASES / "manifest.xml").findall("test")
    return [pytest.param(dict(test.attrib), id=test.attrib["name"].replace(" ", "-")) for test in tests]


def test_all_cases_of_the_manifest_are_run() -> None:
    assert len(cases()) == 29


def example(name: str) -> Json:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if name.endswith(".xml"):
        return resource_from_xml(text)
    found: Json = json.loads(text, parse_float=Decimal)
    return found


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[FhirClient, None]:
    async with fhir_client() as http:
        long = example("list-example-long.xml") | {"id": "example-long"}  # the manifest calls it by the file's name
        for resource in [*map(example, RESOURCES), long, NEWBORN]:
            await put(http, resource)
        yield http


@pytest.fixture(scope="module")
async def searched() -> AsyncGenerator[FhirClient, None]:
    async with fhir_client() as http:
        for name in FOUND:
            await put(http, example(name))
        yield http


async def put(http: FhirClient, resource: Json) -> None:
    key = f"{resource['resourceType']}/{resource['id']}"
    answer = await http.send("PUT", key, encode(resource), content_type="application/fhir+json")
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("case", cases())
async def test_case(server: FhirClient, searched: FhirClient, case: dict[str, str]) -> None:
    query = (CASES / case["source"]).read_text(encoding="utf-8")
    path = case["context"] or "$graphql"
    variables = quote(json.dumps(VARIABLES.get(case["name"], {})))
    operation = case.get("operation", "")
    http = server if case["context"] else searched
    answer = await http.get(f"{path}?query={quote(query)}&variables={variables}&operationName={operation}")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    given = answer.json()
    if case["output"] == "$error":
        assert 400 <= answer.status_code < 500
        assert given["data"] is None
        assert given["errors"][0]["extensions"]["resource"]["resourceType"] == "OperationOutcome"
        return
    assert answer.status_code == 200, answer.text
    expected = json.loads((CASES / case["output"]).read_text(encoding="utf-8"))
    if case["name"] == "search-full":
        _made_up(expected["PatientConnection"])
    assert given == {"data": expected}


def _made_up(connection: Json) -> None:
    """Put right what the suite's program makes up about a search: there are two matches, all on one page."""
    connection["count"] = 2
    del connection["next"]
    for edge in connection["edges"]:
        edge["mode"] = "match"
        edge.pop("score", None)


async def test_the_same_over_post(server: FhirClient) -> None:
    query = (CASES / "simple.gql").read_text(encoding="utf-8")
    expected = {"data": json.loads((CASES / "simple.json").read_text(encoding="utf-8"))}
    plain = await server.send("POST", "Patient/example/$graphql", query.encode(), content_type="application/graphql")
    assert plain.json() == expected
    body = json.dumps({"query": query}).encode()
    wrapped = await server.send("POST", "Patient/example/$graphql", body, content_type="application/json")
    assert wrapped.json() == expected


@pytest.mark.parametrize("group", ["instance-tests", "root-tests"])
async def test_server_tests(server: FhirClient, group: str) -> None:
    tests = json.loads((CASES / "server-tests.json").read_text(encoding="utf-8"))[group]
    assert list(tests) == ["simple"]
    for test in tests.values():
        path, _, query = test["url"].partition("?query=")
        answer = await server.get(f"{path.removeprefix('/')}?query={quote(query)}")
        assert answer.json() == test["output"]
