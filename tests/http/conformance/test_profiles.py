"""Profiles that a tenant posts: in force at once, on every path by which something is written."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.testing.client import FhirClient
from tests.http.conformance.definitions import BASE, claiming, named_patient, profile

Json = dict[str, Any]
pytestmark = pytest.mark.engine

NAMED: Json = {"resourceType": "Patient", "name": [{"family": "Doe"}]}
NAMELESS: Json = {"resourceType": "Patient", "name": [{"given": ["Jo"]}], "photo": [{"title": "x"}]}
BROKEN = ["Patient.name[0].family", "Patient.photo"]


async def put(http: FhirClient, resource: Json) -> None:
    answer = await http.put(f"{resource['resourceType']}/{resource['id']}", resource)
    assert answer.status_code in (200, 201), answer.text


async def set_policy(http: FhirClient, claimed: str, *required: list[Json]) -> Any:
    rows: list[Json] = [{"name": "claimed", "valueCode": claimed}]
    rows += [{"name": "required", "part": parts} for parts in required]
    return await http.post("$set-validation-policy", {"resourceType": "Parameters", "parameter": rows})


def required(resource_type: str, *urls: str, **words: str) -> list[Json]:
    rows: list[Json] = [{"name": "type", "valueCode": resource_type}]
    rows += [{"name": "profile", "valueCanonical": url} for url in urls]
    return rows + [{"name": name, "valueCode": value} for name, value in words.items()]


def errors(answer: Any) -> list[str]:
    """Return where errors are, sorted, whatever the status."""
    found = answer.json()["issue"]
    return sorted(i["expression"][0] for i in found if i["severity"] == "error")


async def count(http: FhirClient, resource_type: str) -> int:
    total: int = (await http.get(f"{resource_type}?_summary=count")).json()["total"]
    return total


async def test_a_claim_counts_from_the_moment_its_profile_is_known(server: FhirClient) -> None:
    claim = claiming(NAMELESS, "named-patient")
    assert (await server.post("Patient", claim)).status_code == 201
    await put(server, named_patient())
    refused = await server.post("Patient", claim)
    assert refused.status_code == 422
    assert errors(refused) == BROKEN
    assert await count(server, "Patient") == 1
    assert (await server.post("Patient", claiming(NAMED, "named-patient"))).status_code == 201
    assert (await server.post("Patient", NAMELESS)).status_code == 201
    assert (await server.delete("StructureDefinition/named-patient")).status_code in (200, 204)
    assert (await server.post("Patient", claim)).status_code == 201


async def test_every_way_to_write_is_held_to_it(server: FhirClient) -> None:
    await put(server, named_patient())
    await put(server, {**claiming(NAMED, "named-patient"), "id": "there"})
    claim = {**claiming(NAMELESS, "named-patient"), "id": "there"}
    assert errors(await server.put("Patient/there", claim)) == BROKEN
    patch = [{"op": "remove", "path": "/name/0/family"}, {"op": "add", "path": "/name/0/text", "value": "x"}]
    patched = await server.patch("Patient/there", patch, "application/json-patch+json")
    assert (patched.status_code, errors(patched)) == (422, ["Patient.name[0].family"])
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": claiming(NAMELESS, "named-patient")}
    bundle: Json = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert errors(await server.post("", bundle)) == [f"Bundle.entry[0].resource.{p[8:]}" for p in BROKEN]
    batch = (await server.post("", {**bundle, "type": "batch"})).json()
    assert batch["entry"][0]["response"]["status"].startswith("422")
    assert await count(server, "Patient") == 1
    assert (await server.get("Patient/there")).json()["meta"]["versionId"] == "1"


async def test_what_the_policy_says_of_claims(server: FhirClient) -> None:
    await put(server, named_patient())
    claim = claiming(NAMELESS, "named-patient")
    for level, status in (("warn", 201), ("ignore", 201), ("strict", 422)):
        assert (await set_policy(server, level)).status_code == 200
        assert (await server.post("Patient", claim)).status_code == status
    await set_policy(server, "warn")
    told = (await server.post("Patient/$validate", claim)).json()["issue"]
    assert {i["severity"] for i in told if i["expression"][0] in BROKEN} == {"warning"}


async def test_what_is_required_is_required_of_those_who_claim_nothing(server: FhirClient) -> None:
    await put(server, named_patient())
    await put(server, profile("dated-patient", "Patient", {"path": "Patient.birthDate", "min": 1}))
    named, dated = BASE + "named-patient", BASE + "dated-patient"
    assert (await set_policy(server, "strict", required("Patient", named, dated))).status_code == 200
    assert errors(await server.post("Patient", NAMED)) == ["Patient.birthDate"]
    assert (await server.post("Patient", {**NAMED, "birthDate": "1970"})).status_code == 201
    assert (await server.post("Group", {"resourceType": "Group", "type": "person", "actual": True})).status_code == 201
    assert (await set_policy(server, "strict", required("Patient", named, dated, match="any"))).status_code == 200
    assert (await server.post("Patient", NAMED)).status_code == 201
    nothing = await server.post("Patient", NAMELESS)
    assert nothing.status_code == 422
    assert any(named in i["diagnostics"] and dated in i["diagnostics"] for i in nothing.json()["issue"])
    assert (await set_policy(server, "strict", required("Patient", named, level="warn"))).status_code == 200
    assert (await server.post("Patient", NAMELESS)).status_code == 201
    shown = (await server.get("$validation-policy")).json()["parameter"]
    assert shown[1]["part"][1] == {"name": "profile", "valueCanonical": named}


async def test_a_required_profile_that_is_gone_refuses_and_says_so(server: FhirClient) -> None:
    await put(server, named_patient())
    await set_policy(server, "strict", required("Patient", BASE + "named-patient"))
    await server.delete("StructureDefinition/named-patient")
    refused = await server.post("Patient", NAMED)
    assert refused.status_code == 422
    assert [i["code"] for i in refused.json()["issue"]] == ["not-found"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (required("Patient", BASE + "nobody-knows"), "not-found"),
        (required("Patint", BASE + "named-patient"), "value"),
        (required("Observation", BASE + "named-patient"), "value"),
    ],
)
async def test_a_policy_nobody_could_keep_is_refused(server: FhirClient, row: list[Json], code: str) -> None:
    await put(server, named_patient())
    refused = await set_policy(server, "ignore", row)
    assert refused.status_code == 422
    assert [i["code"] for i in refused.json()["issue"]] == [code]
    assert (await server.get("$validation-policy")).json()["parameter"] == [{"name": "claimed", "valueCode": "strict"}]


async def test_a_profile_that_is_wrong_in_itself_is_told_and_refuses_nobody(server: FhirClient) -> None:
    await put(server, profile("wrong", "Patient", {"path": "Patient.nmae", "min": 1}))
    claim = claiming(NAMED, "wrong")
    assert (await server.post("Patient", claim)).status_code == 201
    told = [i for i in (await server.post("Patient/$validate", claim)).json()["issue"] if "nmae" in i["diagnostics"]]
    assert [(i["severity"], i["code"], i["expression"]) for i in told] == [
        ("warning", "not-supported", ["Patient.meta.profile[0]"])
    ]


async def test_versions_and_bases_are_found(server: FhirClient) -> None:
    old = profile("aged", "Patient", {"path": "Patient.birthDate", "min": 1}, version="1.0.0")
    new = profile("aged", "Patient", {"path": "Patient.deceased[x]", "min": 1}, version="2.0.0")
    await put(server, {**old, "id": "aged-1"})
    await put(server, {**new, "id": "aged-2"})
    await put(server, profile("both", "Patient", {"path": "Patient.gender", "min": 1}, base=BASE + "aged|1.0.0"))
    for name, where in (("aged|1.0.0", ["birthDate"]), ("aged|2.0.0", ["deceased"]), ("both", ["birthDate", "gender"])):
        asked = {"name": "profile", "valueUri": BASE + name}
        body = {"resourceType": "Parameters", "parameter": [asked, {"name": "resource", "resource": NAMED}]}
        assert errors(await server.post("Patient/$validate", body)) == [f"Patient.{w}" for w in where]
    asked = {"name": "profile", "valueUri": BASE + "aged|3.0.0"}
    body = {"resourceType": "Parameters", "parameter": [asked, {"name": "resource", "resource": NAMED}]}
    told = (await server.post("Patient/$validate", body)).json()["issue"]
    assert [i["code"] for i in told if i["severity"] == "error"] == ["not-found"]


async def test_the_profiles_of_fhir_itself_are_known(server: FhirClient) -> None:
    observation: Json = {
        "resourceType": "Observation",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]},
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/x"},
        "effectiveDateTime": "2024-01-01",
        "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    refused = await server.post("Observation", observation)
    assert refused.status_code == 422
    assert any("category" in where for where in errors(refused))
    coded = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]
    }
    assert (await server.post("Observation", {**observation, "category": [coded]})).status_code == 201


async def test_resources_inside_others_claim_too(server: FhirClient) -> None:
    await put(server, named_patient())
    inner = {**claiming(NAMELESS, "named-patient"), "id": "p"}
    group: Json = {"resourceType": "Group", "type": "person", "actual": True, "contained": [inner]}
    group["member"] = [{"entity": {"reference": "#p"}}]
    assert errors(await server.post("Group", group)) == [f"Group.contained[0].{p[8:]}" for p in BROKEN]
    full_url = "urn:uuid:9f1b2c3d-0000-4000-8000-000000000001"
    entry = {"fullUrl": full_url, "resource": claiming(NAMELESS, "named-patient")}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    assert errors(await server.post("Bundle", bundle)) == [f"Bundle.entry[0].resource.{p[8:]}" for p in BROKEN]
