"""SearchParameters that are written over REST take effect. https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient, fhir_client
from tests.http.parameters.conftest import STRICT, found, job, made, parameter, patient, ready

Json = dict[str, Any]


async def test_what_was_there_before_is_found_when_it_is_indexed_and_only_then(quick: FhirClient) -> None:
    await made(quick, patient("a", "green"), patient("b", "brown"), patient("c"))
    before = await quick.get("Patient/a")
    await made(quick, parameter())
    waiting = await quick.get("Patient?eye-color=green", **STRICT)
    assert waiting.status_code == 400
    assert waiting.json()["issue"][0]["diagnostics"] == (
        "eye-color is a search parameter that is still being indexed; try again later."
    )
    lenient = (await quick.get("Patient?eye-color=green")).json()
    assert lenient["entry"][-1]["search"]["mode"] == "outcome"
    await made(quick, patient("d", "green"))

    await ready(quick, "Patient?eye-color=green")

    assert await found(quick, "Patient?eye-color=green") == ["a", "d"]
    assert await found(quick, "Patient?eye-color:missing=true") == ["c"]
    assert await found(quick, "Patient?_sort=-eye-color&eye-color:missing=false") == ["a", "b", "d"]
    after = await quick.get("Patient/a")
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    assert (await quick.get("Patient/a/_history")).json()["total"] == 1


async def test_metadata_lists_it_when_it_is_ready_until_it_is_retired(quick: FhirClient) -> None:
    async def listed() -> list[Json]:
        rest = (await quick.get("metadata")).json()["rest"][0]
        row = next(r for r in rest["resource"] if r["type"] == "Patient")
        return [p for p in row["searchParam"] if p["name"] == "eye-color"]

    assert await listed() == []
    await made(quick, parameter())
    assert await listed() == []
    await ready(quick, "Patient?eye-color=green")
    url = "http://clinic.example/SearchParameter/eye-color"
    assert await listed() == [{"name": "eye-color", "definition": url, "type": "token"}]
    assert await found(quick, f"SearchParameter?url={url}") == ["eye-color"]
    await made(quick, parameter(status="retired"))
    assert await listed() == []
    assert (await quick.get("Patient?eye-color=green", **STRICT)).status_code == 400


async def test_another_expression_under_the_same_code_never_finds_by_the_old_one(quick: FhirClient) -> None:
    await made(quick, patient("a", "green", gender="male"), patient("b", gender="female"), parameter())
    await ready(quick, "Patient?eye-color=green")
    await made(quick, parameter(expression="Patient.gender"))
    assert (await quick.get("Patient?eye-color=green", **STRICT)).status_code == 400
    await ready(quick, "Patient?eye-color=green")
    assert await found(quick, "Patient?eye-color=green") == []
    assert await found(quick, "Patient?eye-color=female") == ["b"]
    assert await found(quick, "Patient?eye-color:missing=true") == []


async def test_one_that_comes_back_finds_what_was_written_meanwhile(quick: FhirClient) -> None:
    await made(quick, patient("a", "green"), parameter())
    await ready(quick, "Patient?eye-color=green")
    assert (await quick.delete("SearchParameter/eye-color")).status_code == 204
    await made(quick, patient("a", "brown"), patient("b", "green"))
    assert (await quick.get("Patient?eye-color=green", **STRICT)).status_code == 400
    await made(quick, parameter())
    await ready(quick, "Patient?eye-color=green")
    assert await found(quick, "Patient?eye-color=green") == ["b"]
    assert await found(quick, "Patient?eye-color=brown") == ["a"]


async def test_changing_its_words_indexes_nothing_anew(quick: FhirClient) -> None:
    await made(quick, patient("a", "green"), parameter())
    await ready(quick, "Patient?eye-color=green")
    await made(quick, parameter(description="The colour of the eyes"))
    assert await found(quick, "Patient?eye-color=green") == ["a"]


@pytest.mark.parametrize("how", ["post", "put", "conditional", "patch", "batch", "transaction"])
async def test_it_takes_effect_however_it_is_written(quick: FhirClient, how: str) -> None:
    await made(quick, patient("a", "green"))
    resource = parameter()
    if how == "post":
        answer = await quick.post("SearchParameter", resource)
    elif how == "put":
        answer = await quick.put("SearchParameter/eye-color", resource)
    elif how == "conditional":
        answer = await quick.put(f"SearchParameter?url={resource['url']}", resource)
    elif how == "patch":
        await made(quick, parameter(status="draft"))
        change = [{"op": "replace", "path": "/status", "value": "active"}]
        answer = await quick.patch("SearchParameter/eye-color", change, "application/json-patch+json")
    else:
        answer = await quick.post("", _bundle(how, resource))
    assert answer.status_code in (200, 201), answer.text
    await ready(quick, "Patient?eye-color=green")
    assert await found(quick, "Patient?eye-color=green") == ["a"]


async def test_it_takes_effect_when_it_is_imported_and_a_bad_one_is_an_error_of_its_line(tmp_path: Path) -> None:
    lines = [parameter(), parameter("bad", expression="Patient."), patient("a", "green")]
    (tmp_path / "patients").write_text(json.dumps(lines[2]))
    (tmp_path / "parameters").write_text("\n".join(json.dumps(line) for line in lines[:2]))
    inputs = [("Patient", tmp_path / "patients"), ("SearchParameter", tmp_path / "parameters")]
    asked = [{"name": "inputFormat", "valueCode": "application/fhir+ndjson"}] + [
        {"name": "input", "part": [{"name": "type", "valueCode": t}, {"name": "url", "valueUri": f"file://{path}"}]}
        for t, path in inputs
    ]
    async with fhir_client(import_dir=str(tmp_path), reindex_grace_seconds="1") as client:
        manifest = await job(client, "$import", {"resourceType": "Parameters", "parameter": asked})
        assert [(row["type"], row["count"]) for row in manifest["output"]] == [("Patient", 1), ("SearchParameter", 1)]
        assert [row["count"] for row in manifest["error"]] == [1]
        await ready(client, "Patient?eye-color=green")
        assert await found(client, "Patient?eye-color=green") == ["a"]


def _bundle(kind: str, *resources: Json, method: str = "POST") -> Json:
    entries = []
    for resource in resources:
        url = resource["resourceType"] if method == "POST" else f"{resource['resourceType']}/{resource['id']}"
        entries.append({"resource": resource, "request": {"method": method, "url": url}})
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


async def test_a_bad_one_is_refused_on_every_way_and_changes_nothing(quick: FhirClient) -> None:
    bad = parameter(expression="Patient.eyeColor")
    await made(quick, parameter(status="draft"))
    change = [
        {"op": "replace", "path": "/status", "value": "active"},
        {"op": "replace", "path": "/code", "value": "gender"},
    ]
    answers = [
        await quick.post("SearchParameter", bad),
        await quick.put("SearchParameter/eye-color", bad),
        await quick.put(f"SearchParameter?url={bad['url']}", bad),
        await quick.patch("SearchParameter/eye-color", change, "application/json-patch+json"),
        await quick.post("", _bundle("transaction", patient("never"), bad, method="PUT")),
    ]
    expressions = [(a.status_code, a.json()["issue"][0]["expression"]) for a in answers]
    wrong = "SearchParameter.expression"
    assert expressions == [
        (422, [wrong]),
        (422, [wrong]),
        (422, [wrong]),
        (422, ["SearchParameter.code"]),
        (422, ["Bundle.entry[1].resource.expression"]),
    ]
    assert (await quick.get("SearchParameter/eye-color")).json()["status"] == "draft"
    assert (await quick.get("Patient/never")).status_code == 404
    outcome = await quick.post("SearchParameter/$validate", bad)
    errors = [i for i in outcome.json()["issue"] if i["severity"] == "error"]
    assert [i["expression"] for i in errors] == [[wrong]]


async def test_a_code_or_url_in_force_is_refused_with_the_way_out(quick: FhirClient) -> None:
    await made(quick, parameter())
    url = parameter()["url"]
    twin = await quick.post("SearchParameter", parameter(id=None, url=url + "-2"))
    assert (twin.status_code, twin.json()["issue"][0]["expression"]) == (422, ["SearchParameter.code"])
    assert twin.json()["issue"][0]["diagnostics"] == (
        f"SearchParameter/eye-color ({url}) has this code already. Take another one, or retire that first."
    )
    same = await quick.post("SearchParameter", parameter("iris", id=None, url=url))
    assert (same.status_code, same.json()["issue"][0]["expression"]) == (422, ["SearchParameter.url"])
    assert (await quick.put(f"SearchParameter?url={url}", parameter(name="Again"))).status_code == 200


async def test_a_composite_comes_with_its_parts_in_one_transaction(quick: FhirClient) -> None:
    part = parameter("middle", type="string", expression="Patient.name.suffix")
    pair = parameter(
        "family-suffix",
        type="composite",
        expression="Patient.name",
        component=[
            {"definition": part["url"], "expression": "suffix"},
            {"definition": "http://hl7.org/fhir/SearchParameter/individual-family", "expression": "family"},
        ],
    )
    await made(
        quick,
        patient("a", name=[{"family": "Kim", "suffix": ["Jr."]}, {"family": "Lee"}]),
        patient("b", name=[{"family": "Kim"}, {"family": "Lee", "suffix": ["Jr."]}]),
    )
    alone = await quick.put("SearchParameter/family-suffix", pair)
    assert alone.json()["issue"][0]["expression"] == ["SearchParameter.component[0].definition"]
    both = await quick.post("", _bundle("transaction", pair, part, method="PUT"))
    assert both.status_code == 200, both.text
    await ready(quick, "Patient?family-suffix=jr$kim")
    assert await found(quick, "Patient?family-suffix=jr$kim") == ["a"]
    assert await found(quick, "Patient?family-suffix=jr$lee") == ["b"]


@pytest.mark.parametrize(
    ("kind", "expression", "query", "ids"),
    [
        ("string", "Patient.name.text", "an", ["a"]),
        ("date", "Patient.communication.extension('http://x/since').value", "ge2020", ["b"]),
        ("number", "Patient.multipleBirth.as(integer)", "gt1", ["a"]),
        ("quantity", "Patient.extension('http://x/height').value", "gt1.5|http://unitsofmeasure.org|m", ["a"]),
        ("reference", "Patient.extension('http://x/friend').value", "Patient/a", ["b"]),
        ("uri", "Patient.implicitRules", "http://x/rules", ["b"]),
        ("token", "Patient.contact.relationship", "http://x|N", ["a"]),
    ],
)
async def test_every_type_of_parameter(
    quick: FhirClient, kind: str, expression: str, query: str, ids: list[str]
) -> None:
    height = {
        "url": "http://x/height",
        "valueQuantity": {"value": 180, "system": "http://unitsofmeasure.org", "code": "cm"},
    }
    since = {"extension": [{"url": "http://x/since", "valueDateTime": "2021"}], "language": {"text": "en"}}
    a = patient(
        "a",
        name=[{"text": "Ann Other"}],
        multipleBirthInteger=2,
        extension=[height],
        contact=[{"relationship": [{"coding": [{"system": "http://x", "code": "N"}]}], "name": {"text": "N"}}],
    )
    friend = {"url": "http://x/friend", "valueReference": {"reference": "Patient/a"}}
    b = patient("b", implicitRules="http://x/rules", communication=[since], extension=[friend])
    await made(quick, a, b, patient("c"), parameter("mine", type=kind, expression=expression))
    await ready(quick, f"Patient?mine={query}")
    assert await found(quick, f"Patient?mine={query}") == ids
    if kind == "reference":
        assert await found(quick, "Patient?mine.name=ann") == ["b"]
        assert await found(quick, "Patient?_has:Patient:mine:_id=b") == ["a"]
        assert await found(quick, "Patient?_id=b&_include=Patient:mine") == ["a", "b"]


async def test_a_parameter_of_every_resource_is_one_of_each_type_and_of_the_system(quick: FhirClient) -> None:
    every = parameter("lang", base=["Resource"], expression="Resource.language")
    basic = {"resourceType": "Basic", "id": "b", "language": "de", "code": {"text": "x"}}
    await made(quick, patient("a", language="de"), basic, patient("c", language="en"), every)
    await ready(quick, "?lang=de")
    assert await found(quick, "?lang=de") == ["a", "b"]
    assert await found(quick, "Patient?lang=de") == ["a"]
    assert await found(quick, "Basic?lang=de") == ["b"]


async def test_a_date_of_ones_own_does_not_change_the_default_order(quick: FhirClient) -> None:
    """Organization has no date parameter; what is indexed by the specification stays as it was."""
    own = parameter("date", base=["Organization"], type="date", expression="Organization.extension('http://x').value")
    organization: Json = {"resourceType": "Organization", "id": "a", "name": "A"}
    dated = {**organization, "id": "b", "extension": [{"url": "http://x", "valueDate": "2020"}]}
    await made(quick, organization, dated, own)
    await ready(quick, "Organization?date=2020")
    assert await found(quick, "Organization?date=2020") == ["b"]
    await made(quick, {**organization, "name": "B"})
    assert await found(quick, "Organization?_sort=date") == ["a", "b"]
