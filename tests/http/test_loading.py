"""CodeSystem/$load over HTTP, on a database: releases from a folder, put in force by a job, then asked about."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.unit.terminology.loaders import test_loinc, test_snomed
from tests.unit.terminology.loaders.releases import zipped

Json = dict[str, Any]
pytestmark = pytest.mark.engine

COLOURS = "http://example.org/colours"
TABLE = (
    "code,display,parent,property.warm:boolean,designation.de\n"
    "red,Red,,true,Rot\nrose,Rose,red,true,\nblue,Blue,,false,\n"
)


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[FhirClient]:
    """A server that may read files from the test's folder."""
    async with fhir_client(import_dir=str(tmp_path)) as client:
        yield client


def parameters(path: Path | str, kind: str, *more: tuple[str, str, Any]) -> Json:
    source = f"file://{path}" if isinstance(path, Path) else path
    rows = [{"name": "source", "valueUri": source}, {"name": "format", "valueCode": kind}]
    return {"resourceType": "Parameters", "parameter": [*rows, *({"name": n, t: v} for n, t, v in more)]}


async def ended(http: FhirClient, body: Json) -> tuple[int, Json]:
    """Start a load and return status and body of its end."""
    answer = await http.post("CodeSystem/$load", body, prefer="respond-async")
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    for _ in range(300):
        answer = await http.get(place)
        if answer.status_code != 202:
            break
        await asyncio.sleep(0.1)
    return answer.status_code, answer.json()


def told(body: Json) -> dict[str, Any]:
    """Return Parameters as a dict."""
    return {row["name"]: next(v for k, v in row.items() if k != "name") for row in body["parameter"]}


async def expanded(http: FhirClient, url: str) -> list[str]:
    """Return the codes of a value set; those below others come after them."""
    answer = await http.http.get("http://testserver/fhir/ValueSet/$expand", params={"url": url})
    assert answer.status_code == 200, answer.text
    rows, found = answer.json()["expansion"].get("contains", [])[::-1], []
    while rows:
        row = rows.pop()
        found.append(row["code"])
        rows += row.get("contains", [])[::-1]
    return found


async def lookup(http: FhirClient, system: str, code: str, **more: str) -> tuple[int, Json]:
    query = "&".join(f"{k}={v}" for k, v in {"system": system, "code": code, **more}.items())
    answer = await http.get(f"CodeSystem/$lookup?{query}")
    return answer.status_code, answer.json()


async def test_a_table_is_loaded_and_asked_about(http: FhirClient, tmp_path: Path) -> None:
    path = tmp_path / "colours.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode()))
    more = [("system", "valueUri", COLOURS), ("version", "valueString", "1")]
    status, body = await ended(http, parameters(path, "csv", *more))
    assert (status, told(body)) == (200, {"url": COLOURS, "version": "1", "concepts": 3})
    status, body = await lookup(http, COLOURS, "rose")
    assert status == 200, body
    assert told(body)["display"] == "Rose"
    query = f"system={COLOURS}&codeA=red&codeB=rose"
    assert told((await http.get(f"CodeSystem/$subsumes?{query}")).json())["outcome"] == "subsumes"


async def test_loinc_and_snomed_ct_as_they_are_downloaded(http: FhirClient, tmp_path: Path) -> None:
    (tmp_path / "Loinc_9.99.zip").write_bytes(zipped(test_loinc.MEMBERS))
    (tmp_path / "ours.zip").write_bytes(zipped(test_snomed.MEMBERS))
    status, body = await ended(http, parameters(tmp_path / "Loinc_9.99.zip", "loinc"))
    assert (status, told(body)) == (200, {"url": "http://loinc.org", "version": "9.99", "concepts": 11})
    status, body = await ended(http, parameters(tmp_path / "ours.zip", "snomed-ct"))
    assert (status, told(body)["concepts"]) == (200, 5)
    assert await expanded(http, "http://loinc.org/vs/LL9001-1") == ["LA90001-1", "LA90002-9"]
    for value in ("Qn", "LP90002-9"):
        filters = [{"property": "SCALE_TYP", "op": "=", "value": value}]
        include = [{"system": "http://loinc.org", "filter": filters}]
        value_set = {"resourceType": "ValueSet", "status": "active", "compose": {"include": include}}
        asked = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value_set}]}
        found = (await http.post("ValueSet/$expand", asked)).json()["expansion"]["contains"]
        assert [row["code"] for row in found] == ["90001-1"]
    below = await expanded(http, f"http://snomed.info/sct?fhir_vs=isa/{test_snomed.SPARK}")
    assert below == [test_snomed.SPARK, test_snomed.BIG]
    assert await expanded(http, "http://snomed.info/sct?fhir_vs=refset/99500009100") == [test_snomed.BIG]


async def test_a_refused_release_leaves_the_one_in_force(http: FhirClient, tmp_path: Path) -> None:
    path = tmp_path / "colours.csv"
    path.write_text(TABLE)
    more = [("system", "valueUri", COLOURS), ("version", "valueString", "1")]
    assert (await ended(http, parameters(path, "csv", *more)))[0] == 200
    path.write_text("code,parent\nred,\ngreen,red,extra\nblack,ink\n")
    status, body = await ended(http, parameters(path, "csv", *more))
    assert (status, [issue["diagnostics"] for issue in body["issue"]]) == (
        409,
        [
            "colours.csv, line 3: 3 columns, where the header has 2.",
            "colours.csv, line 4: the parent 'ink' of 'black' is not in the release.",
        ],
    )
    assert (await lookup(http, COLOURS, "rose"))[0] == 200
    assert (await lookup(http, COLOURS, "black"))[0] == 404
    services = http.app.services
    assert services is not None
    (tenant,) = services.following.tenants()
    assert [(one.version, one.count, one.state) for one in await services.concepts.of(tenant).all()] == [
        ("1", 3, "ready")
    ]
    status, body = await ended(http, parameters(path, "csv", *more, ("lenient", "valueBoolean", True)))
    assert (status, told(body)["concepts"], told(body)["leftOut"]) == (200, 2, 2)
    assert told(body)["outcome"]["issue"][0]["diagnostics"].startswith("colours.csv, line 3")
    assert (await lookup(http, COLOURS, "rose"))[0] == 404


async def test_a_release_without_concepts_replaces_none(http: FhirClient, tmp_path: Path) -> None:
    path = tmp_path / "colours.csv"
    more = [("system", "valueUri", COLOURS), ("version", "valueString", "1")]
    for table, expected in ((TABLE, 200), ("code,parent\n", 409)):
        path.write_text(table)
        status, body = await ended(http, parameters(path, "csv", *more))
        assert status == expected
    assert body["issue"][0]["diagnostics"].startswith("The release has no concepts.")
    assert (await lookup(http, COLOURS, "rose"))[0] == 200


async def test_a_large_code_system_as_a_resource(http: FhirClient, tmp_path: Path) -> None:
    concepts = [{"code": "all", "concept": [{"code": f"c{n}", "display": f"Concept {n}"} for n in range(3_500)]}]
    head = {"resourceType": "CodeSystem", "url": "http://example.org/large", "status": "active", "content": "complete"}
    path = tmp_path / "large.json"
    path.write_text(json.dumps({**head, "concept": concepts}))
    status, body = await ended(http, parameters(path, "code-system", ("version", "valueString", "7")))
    assert (status, told(body)["concepts"]) == (200, 3_501)
    assert told((await lookup(http, "http://example.org/large", "c3499"))[1])["display"] == "Concept 3499"


async def test_a_load_that_is_cancelled_leaves_nothing(http: FhirClient, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("code,display\n" + "".join(f"c{n},Concept {n}\n" for n in range(200_000)))
    body = parameters(path, "csv", ("system", "valueUri", COLOURS), ("version", "valueString", "1"))
    answer = await http.post("CodeSystem/$load", body, prefer="respond-async")
    place = answer.headers["content-location"].removeprefix("http://testserver")
    services = http.app.services
    assert services is not None
    (tenant,) = services.following.tenants()
    concepts = services.concepts.of(tenant)
    while not await concepts.all():
        assert (await http.get(place)).status_code == 202
        await asyncio.sleep(0.05)
    assert (await http.delete(place)).status_code == 202
    for _ in range(100):
        if not await concepts.all():
            break
        await asyncio.sleep(0.1)
    assert await concepts.all() == []
    assert (await http.get(place)).status_code == 404
    assert (await lookup(http, COLOURS, "c1"))[0] == 404


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("file:///etc/passwd", "csv", "There is no such file"),
        ("http://169.254.169.254/latest", "csv", "Nothing is imported from"),
        ("ftp://x/y.zip", "loinc", "A source is an http"),
        ("file:///x", "cpt", "format must be one of code-system, csv, icd-10-cm, loinc, rxnorm, snomed-ct"),
    ],
)
async def test_what_may_not_be_loaded_is_refused_at_once(http: FhirClient, source: str, kind: str, text: str) -> None:
    answer = await http.post("CodeSystem/$load", parameters(source, kind))
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["diagnostics"].startswith(text)
