"""history of an instance, a type and the system. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
A_TICK = 0.005


async def three_versions_and_a_deletion(client: FhirClient) -> tuple[str, list[str]]:
    """Return the id of a Patient with versions 1 to 3 and a deletion, and the times of the three versions."""
    made = (await client.post("Patient", {"resourceType": "Patient", "gender": "male"})).json()
    times = [made["meta"]["lastUpdated"]]
    for gender in ("female", "other"):
        await asyncio.sleep(A_TICK)
        body = {"resourceType": "Patient", "id": made["id"], "gender": gender}
        times.append((await client.put(f"Patient/{made['id']}", body)).json()["meta"]["lastUpdated"])
    await asyncio.sleep(A_TICK)
    assert (await client.delete(f"Patient/{made['id']}")).status_code == 204
    return made["id"], times


def etags(bundle: Json) -> list[str]:
    return [e["response"]["etag"] for e in bundle.get("entry", [])]


async def every_page(client: FhirClient, path: str) -> list[Json]:
    pages = [(await client.get(path)).json()]
    while url := next((link["url"] for link in pages[-1]["link"] if link["relation"] == "next"), ""):
        answer = await client.http.get(url)
        assert answer.status_code == 200
        pages.append(answer.json())
    return pages


async def test_an_instance_shows_each_version_newest_first_and_its_deletion(shared_server: FhirClient) -> None:
    name, _ = await three_versions_and_a_deletion(shared_server)
    bundle = (await shared_server.get(f"Patient/{name}/_history")).json()
    assert (bundle["type"], bundle["total"]) == ("history", 4)
    assert etags(bundle) == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert [e["request"] for e in bundle["entry"]] == [
        {"method": "DELETE", "url": f"Patient/{name}"},
        {"method": "PUT", "url": f"Patient/{name}"},
        {"method": "PUT", "url": f"Patient/{name}"},
        {"method": "POST", "url": "Patient"},
    ]
    assert [e["response"]["status"] for e in bundle["entry"]] == ["204 No Content", "200 OK", "200 OK", "201 Created"]
    assert "resource" not in bundle["entry"][0]
    assert [e["resource"]["gender"] for e in bundle["entry"][1:]] == ["other", "female", "male"]
    assert {e["fullUrl"] for e in bundle["entry"]} == {f"http://testserver/fhir/Patient/{name}"}


async def test_since_leaves_out_what_is_older(shared_server: FhirClient) -> None:
    name, times = await three_versions_and_a_deletion(shared_server)
    bundle = (await shared_server.get(f"Patient/{name}/_history?_since={quote(times[1])}")).json()
    assert etags(bundle) == ['W/"4"', 'W/"3"', 'W/"2"']
    assert etags((await shared_server.get(f"Patient/{name}/_history?_since=2199")).json()) == []


async def test_at_shows_what_was_current_then(shared_server: FhirClient) -> None:
    name, times = await three_versions_and_a_deletion(shared_server)
    for version, time in enumerate(times, 1):
        bundle = (await shared_server.get(f"Patient/{name}/_history?_at={quote(time)}")).json()
        assert f'W/"{version}"' in etags(bundle)
        assert not {f'W/"{later}"' for later in range(version + 1, 5)} & set(etags(bundle))
    assert etags((await shared_server.get(f"Patient/{name}/_history?_at=2001")).json()) == []


@pytest.mark.parametrize("query", ["_since=soon", "_at=13-2020", "_count=-1", "_count=many"])
async def test_a_parameter_that_cannot_be_read_is_refused(shared_server: FhirClient, query: str) -> None:
    answer = await shared_server.get(f"Patient/_history?{query}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["location"] == [f"http.{query.partition('=')[0]}"]


async def test_the_pages_of_an_instance_have_no_gap_and_no_repeat(shared_server: FhirClient) -> None:
    name, _ = await three_versions_and_a_deletion(shared_server)
    pages = await every_page(shared_server, f"Patient/{name}/_history?_count=3")
    assert [etags(p) for p in pages] == [['W/"4"', 'W/"3"', 'W/"2"'], ['W/"1"']]
    assert "total" not in pages[0]


async def test_a_type_and_the_system_page_through_every_version_of_their_own(server: FhirClient) -> None:
    first, _ = await three_versions_and_a_deletion(server)
    second, _ = await three_versions_and_a_deletion(server)
    entries = [{"request": {"method": "POST", "url": "Basic"}, "resource": basic(n)} for n in range(5)]
    await server.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    patients = [
        (e["fullUrl"].rsplit("/", 1)[1], e["response"]["etag"])
        for page in await every_page(server, "Patient/_history?_count=3")
        for e in page["entry"]
    ]
    assert patients == [(name, f'W/"{v}"') for name in (second, first) for v in (4, 3, 2, 1)]
    everything = [
        (e["fullUrl"], e["response"]["etag"])
        for page in await every_page(server, "_history?_count=2")
        for e in page["entry"]
    ]
    assert len(everything) == len(set(everything)) == 13
    assert sum("/Basic/" in url for url, _ in everything[:5]) == 5


def basic(number: int) -> Json:
    return {"resourceType": "Basic", "code": {"text": str(number)}}


async def test_a_page_link_belongs_to_its_own_history(shared_server: FhirClient) -> None:
    name, _ = await three_versions_and_a_deletion(shared_server)
    other, _ = await three_versions_and_a_deletion(shared_server)
    page = (await shared_server.get(f"Patient/{name}/_history?_count=1")).json()
    url = next(link["url"] for link in page["link"] if link["relation"] == "next")
    assert (await shared_server.http.get(url.replace(name, other))).status_code == 400


async def test_what_never_existed_has_no_history(shared_server: FhirClient) -> None:
    answer = await shared_server.get("Patient/never-there/_history")
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize("is_transaction", [False, True])
async def test_an_update_of_what_was_deleted_is_shown_as_the_creation_it_was(
    shared_server: FhirClient, is_transaction: bool
) -> None:
    name, _ = await three_versions_and_a_deletion(shared_server)
    body = {"resourceType": "Patient", "id": name}
    entry = {"request": {"method": "PUT", "url": f"Patient/{name}"}, "resource": body}
    if is_transaction:
        await shared_server.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    else:
        assert (await shared_server.put(f"Patient/{name}", body)).status_code == 201
    await shared_server.put(f"Patient/{name}", {**body, "active": True})
    rows = (await shared_server.get(f"Patient/{name}/_history?_count=3")).json()["entry"]
    assert [r["response"]["status"] for r in rows] == ["200 OK", "201 Created", "204 No Content"]
    assert rows[1]["request"] == {"method": "PUT", "url": f"Patient/{name}"}
