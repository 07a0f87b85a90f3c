"""transaction: all or nothing, and links between entries. https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "", **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    if full_url:
        made["fullUrl"] = full_url
    return made if resource is None else {**made, "resource": resource}


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


def patient(mark: str, **members: Any) -> Json:
    return {"resourceType": "Patient", "identifier": [{"value": mark}], **members}


async def send(client: FhirClient, *entries: Json) -> httpx.Response:
    return await client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})


async def run(client: FhirClient, *entries: Json) -> list[Json]:
    """Run a transaction that works and return the entries of its response."""
    answer = await send(client, *entries)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    rows: list[Json] = answer.json()["entry"]
    assert len(rows) == len(entries)
    return rows


def statuses(rows: list[Json]) -> list[str]:
    return [row["response"]["status"] for row in rows]


async def count(client: FhirClient, mark: str) -> int:
    """Return how many Patients have the identifier."""
    total: int = (await client.get(f"Patient?identifier={mark}&_summary=count")).json()["total"]
    return total


async def refused(client: FhirClient, answer: httpx.Response, status: int, expression: str, mark: str) -> None:
    """Check a refusal that names the element, and that no Patient of the Bundle is there."""
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.json()["issue"][0]["expression"] == [expression]
    assert await count(client, mark) == 0


async def test_links_between_entries_are_rewritten_wherever_they_stand(shared_server: FhirClient) -> None:
    link, self_link = f"urn:uuid:{uuid4()}", f"urn:uuid:{uuid4()}"
    whole = observation(
        contained=[{"resourceType": "Specimen", "id": "s", "subject": {"reference": link}}],
        extension=[{"url": "http://example.org/o", "extension": [{"url": "i", "valueReference": {"reference": link}}]}],
        subject={"reference": link, "display": link},
        performer=[{"reference": link}, {"reference": "Practitioner/p1"}],
        specimen={"reference": "#s"},
        hasMember=[{"reference": self_link}],
        component=[
            {
                "code": {"text": "c"},
                "extension": [{"url": "http://example.org/c", "valueReference": {"reference": link}}],
            }
        ],
    )
    rows = await run(
        shared_server,
        entry("POST", "Observation", whole, self_link),
        entry("POST", "Patient", {"resourceType": "Patient"}, link),
    )
    assert statuses(rows) == ["201 Created", "201 Created"]
    target = {"reference": f"Patient/{rows[1]['resource']['id']}"}
    stored = (await shared_server.get(f"Observation/{rows[0]['resource']['id']}")).json()
    assert stored == rows[0]["resource"]
    assert stored["contained"][0]["subject"] == target
    assert stored["extension"][0]["extension"][0]["valueReference"] == target
    assert stored["subject"]["reference"] == target["reference"]
    assert stored["performer"] == [target, {"reference": "Practitioner/p1"}]
    assert stored["specimen"] == {"reference": "#s"}
    assert stored["hasMember"] == [{"reference": f"Observation/{stored['id']}"}]
    assert stored["component"][0]["extension"][0]["valueReference"] == target
    found = (await shared_server.get(f"Observation?subject={target['reference']}")).json()
    assert [e["resource"]["id"] for e in found["entry"]] == [stored["id"]]


async def test_links_in_uris_and_narratives_are_rewritten_and_texts_that_look_like_one_are_not(
    shared_server: FhirClient,
) -> None:
    link = f"urn:uuid:{uuid4()}"
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><a href="{}">the image</a></div>'
    whole = {
        "resourceType": "DocumentReference",
        "status": "current",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": link}],
        "text": {"status": "additional", "div": div.format(link)},
        "content": [{"attachment": {"url": link, "title": link}}],
    }
    rows = await run(
        shared_server,
        entry("POST", "DocumentReference", whole),
        entry("POST", "Binary", {"resourceType": "Binary", "contentType": "image/png", "data": "aGk="}, link),
    )
    target = f"Binary/{rows[1]['resource']['id']}"
    stored = rows[0]["resource"]
    assert stored["content"] == [{"attachment": {"url": target, "title": link}}]
    assert stored["text"]["div"] == div.format(target)
    assert stored["identifier"] == whole["identifier"]


async def test_a_link_to_a_version_becomes_one_to_the_version_that_is_written(shared_server: FhirClient) -> None:
    kept = uuid4().hex
    link, known = f"http://example.org/fhir/Patient/{kept}", f"http://example.org/fhir/Practitioner/{kept}"
    await shared_server.put(f"Practitioner/{kept}", {"resourceType": "Practitioner", "id": kept})
    rows = await run(
        shared_server,
        entry(
            "POST",
            "Observation",
            observation(subject={"reference": f"{link}/_history/7"}, performer=[{"reference": f"{known}/_history/1"}]),
        ),
        entry("POST", "Patient", {"resourceType": "Patient"}, link),
        entry("PUT", f"Practitioner/{kept}", {"resourceType": "Practitioner", "id": kept, "active": True}, known),
    )
    assert rows[0]["resource"]["subject"] == {"reference": f"Patient/{rows[1]['resource']['id']}/_history/1"}
    assert rows[0]["resource"]["performer"] == [{"reference": f"Practitioner/{kept}/_history/2"}]


async def test_a_conditional_reference_becomes_the_one_match(shared_server: FhirClient) -> None:
    mark = uuid4().hex
    made = (await shared_server.post("Patient", patient(mark))).json()
    rows = await run(
        shared_server,
        entry("POST", "Observation", observation(subject={"reference": f"Patient?identifier={mark}"})),
    )
    assert rows[0]["resource"]["subject"] == {"reference": f"Patient/{made['id']}"}


async def test_a_conditional_reference_to_none_or_several_fails_the_whole(shared_server: FhirClient) -> None:
    mark, twice = uuid4().hex, uuid4().hex
    for _ in range(2):
        await shared_server.post("Patient", patient(twice))
    for criteria in (f"identifier={uuid4()}", f"identifier={twice}"):
        answer = await send(
            shared_server,
            entry("POST", "Patient", patient(mark)),
            entry("POST", "Observation", observation(subject={"reference": f"Patient?{criteria}"})),
        )
        assert answer.status_code == 412
        assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
        assert await count(shared_server, mark) == 0


async def test_if_none_exist_takes_the_match_and_links_lead_to_it(shared_server: FhirClient) -> None:
    mark, link = uuid4().hex, f"urn:uuid:{uuid4()}"
    bundle = (
        entry("POST", "Patient", patient(mark), link, ifNoneExist=f"identifier={mark}"),
        entry("POST", "Observation", observation(subject={"reference": link})),
    )
    first, second = await run(shared_server, *bundle), await run(shared_server, *bundle)
    assert (statuses(first)[0], statuses(second)[0]) == ("201 Created", "200 OK")
    assert second[0]["resource"] == first[0]["resource"]
    assert second[1]["resource"]["subject"] == first[1]["resource"]["subject"]
    assert await count(shared_server, mark) == 1
    await shared_server.post("Patient", patient(mark))
    answer = await send(shared_server, *bundle)
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]


async def test_deletes_come_first_then_creates_updates_and_reads_and_answers_stand_as_asked(
    shared_server: FhirClient,
) -> None:
    mark, kept = uuid4().hex, uuid4().hex
    gone = (await shared_server.post("Patient", patient(mark, active=False))).json()["id"]
    rows = await run(
        shared_server,
        entry("GET", f"Patient?identifier={mark}"),
        entry("PUT", f"Patient/{kept}", {**patient(mark), "id": kept}),
        entry("POST", "Patient", patient(mark)),
        entry("DELETE", f"Patient/{gone}"),
        entry("GET", f"Patient/{kept}"),
    )
    assert statuses(rows) == ["200 OK", "201 Created", "201 Created", "204 No Content", "200 OK"]
    seen = {e["resource"]["id"] for e in rows[0]["resource"]["entry"]}
    assert seen == {kept, rows[2]["resource"]["id"]}
    assert rows[4]["resource"]["id"] == rows[1]["resource"]["id"] == kept
    assert rows[2]["response"]["location"] == f"http://testserver/fhir/Patient/{rows[2]['resource']['id']}/_history/1"
    assert rows[3]["response"]["etag"] == 'W/"2"'


async def test_one_resource_may_be_in_one_entry_only(shared_server: FhirClient) -> None:
    mark, name = uuid4().hex, uuid4().hex
    put = entry("PUT", f"Patient/{name}", {**patient(mark), "id": name})
    for other in (put, entry("DELETE", f"Patient/{name}")):
        answer = await send(shared_server, entry("POST", "Patient", patient(mark)), put, other)
        await refused(shared_server, answer, 400, "Bundle.entry[2]", mark)
    link = f"urn:uuid:{uuid4()}"
    same = entry("POST", "Patient", patient(mark), link)
    await refused(shared_server, await send(shared_server, same, same), 400, "Bundle.entry[1].fullUrl", mark)


@pytest.mark.parametrize(
    ("bad", "status", "expression"),
    [
        (
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "blue"}),
            422,
            "Bundle.entry[1].resource.gender",
        ),
        (entry("POST", "Observation", {"resourceType": "Patient"}), 422, "Bundle.entry[1].resource"),
        (entry("BREW", "Patient"), 400, "Bundle.entry[1].request.method"),
        (entry("POST", "Patient"), 400, "Bundle.entry[1].resource"),
        (entry("GET", "Rock/1"), 404, "Bundle.entry[1]"),
        (entry("GET", "Patient/nobody-at-all"), 404, "Bundle.entry[1]"),
        (entry("PUT", "Patient/a1", {"resourceType": "Patient", "id": "b1"}), 400, "Bundle.entry[1].resource.id"),
        (
            entry("PUT", "Patient/nobody", {"resourceType": "Patient", "id": "nobody"}, ifMatch='W/"3"'),
            412,
            "Bundle.entry[1]",
        ),
        ({"resource": {"resourceType": "Patient"}}, 400, "Bundle.entry[1].request"),
    ],
)
async def test_one_entry_that_fails_is_named_and_nothing_is_written(
    shared_server: FhirClient, bad: Json, status: int, expression: str
) -> None:
    mark, name = uuid4().hex, uuid4().hex
    answer = await send(
        shared_server,
        entry("POST", "Patient", patient(mark)),
        bad,
        entry("PUT", f"Patient/{name}", {**patient(mark), "id": name}),
    )
    await refused(shared_server, answer, status, expression, mark)
    assert (await shared_server.get(f"Patient/{name}/_history")).status_code == 404


async def test_all_invalid_entries_are_reported_together(shared_server: FhirClient) -> None:
    mark = uuid4().hex
    wrong = patient(mark, gender="blue")
    answer = await send(shared_server, *(entry("POST", "Patient", r) for r in (wrong, patient(mark), wrong)))
    await refused(shared_server, answer, 422, "Bundle.entry[0].resource.gender", mark)
    assert [i["expression"] for i in answer.json()["issue"]] == [
        ["Bundle.entry[0].resource.gender"],
        ["Bundle.entry[2].resource.gender"],
    ]


async def test_conditional_update_and_delete(shared_server: FhirClient) -> None:
    old, gone = uuid4().hex, uuid4().hex
    kept = (await shared_server.post("Patient", patient(old))).json()["id"]
    await shared_server.post("Patient", patient(gone))
    link = f"urn:uuid:{uuid4()}"
    rows = await run(
        shared_server,
        entry("PUT", f"Patient?identifier={old}", patient(old, active=True), link),
        entry("DELETE", f"Patient?identifier={gone}"),
        entry("POST", "Observation", observation(subject={"reference": link})),
    )
    assert statuses(rows) == ["200 OK", "204 No Content", "201 Created"]
    assert (rows[0]["resource"]["id"], rows[0]["response"]["etag"]) == (kept, 'W/"2"')
    assert rows[2]["resource"]["subject"] == {"reference": f"Patient/{kept}"}
    assert (await count(shared_server, old), await count(shared_server, gone)) == (1, 0)


async def test_a_conditional_update_without_a_match_does_not_overwrite_the_resource_with_its_id(
    shared_server: FhirClient,
) -> None:
    mark, kept = uuid4().hex, uuid4().hex
    before = (await shared_server.put(f"Patient/{kept}", {**patient(uuid4().hex), "id": kept})).json()
    answer = await send(
        shared_server,
        entry("POST", "Patient", patient(mark)),
        entry("PUT", f"Patient?identifier={uuid4()}", {**patient(mark), "id": kept}),
    )
    await refused(shared_server, answer, 409, "Bundle.entry[1]", mark)
    assert (await shared_server.get(f"Patient/{kept}")).json() == before
    await shared_server.delete(f"Patient/{kept}")
    rows = await run(shared_server, entry("PUT", f"Patient?identifier={mark}", {**patient(mark), "id": kept}))
    assert rows[0]["response"]["status"] == "201 Created"
    assert rows[0]["response"]["etag"] == 'W/"3"'


async def test_what_a_delete_removes_no_longer_matches_the_criteria_of_the_other_entries(
    shared_server: FhirClient,
) -> None:
    mark, other = uuid4().hex, uuid4().hex
    gone = (await shared_server.post("Patient", patient(mark))).json()["id"]
    lost = (await shared_server.post("Patient", patient(other))).json()["id"]
    rows = await run(
        shared_server,
        entry("POST", "Patient", patient(mark), ifNoneExist=f"identifier={mark}"),
        entry("PUT", f"Patient?identifier={other}", patient(other)),
        entry("DELETE", f"Patient/{gone}"),
        entry("DELETE", f"Patient?identifier={other}"),
    )
    assert statuses(rows) == ["201 Created", "201 Created", "204 No Content", "204 No Content"]
    assert {rows[0]["resource"]["id"], rows[1]["resource"]["id"]}.isdisjoint({gone, lost})
    assert (await count(shared_server, mark), await count(shared_server, other)) == (1, 1)
    for name in (gone, lost):
        assert (await shared_server.get(f"Patient/{name}")).status_code == 410


async def test_a_patch_and_an_operation_see_what_the_other_entries_write(shared_server: FhirClient) -> None:
    kept, mark = uuid4().hex, uuid4().hex
    tag = {"system": "urn:example:tags", "code": "seen"}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    remove = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.identifier"}]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": remove}]}
    other = (await shared_server.post("Patient", patient(mark))).json()["id"]
    rows = await run(
        shared_server,
        entry("POST", f"Patient/{kept}/$meta-add", meta),
        entry("PUT", f"Patient/{kept}", {**patient(mark), "id": kept}),
        entry("PATCH", f"Patient/{other}", patch),
    )
    assert statuses(rows) == ["200 OK", "201 Created", "200 OK"]
    stored = (await shared_server.get(f"Patient/{kept}")).json()
    assert (stored["meta"]["tag"], stored["meta"]["versionId"]) == ([tag], "2")


async def test_a_delete_is_undone_when_another_entry_fails(shared_server: FhirClient) -> None:
    mark, missing = uuid4().hex, uuid4().hex
    made = (await shared_server.post("Patient", patient(mark))).json()
    answer = await send(
        shared_server,
        entry("DELETE", f"Patient/{made['id']}"),
        entry("PATCH", f"Patient/{missing}", {"resourceType": "Parameters"}),
    )
    assert answer.status_code == 404
    assert (await shared_server.get(f"Patient/{made['id']}")).json() == made
