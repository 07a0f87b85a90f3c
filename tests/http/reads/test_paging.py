"""Pages of a search: each match once, whatever is written meanwhile. https://hl7.org/fhir/R4/http.html#paging"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from fhir_server.testing.client import FhirClient

Json = dict[str, Any]
MATCHES = 23
ORDERS = [
    "",
    "&_sort=date",
    "&_sort=-date",
    "&_sort=_id",
    "&_sort=-_lastUpdated",
    "&_sort=status",
    "&_sort=status,date",
]


def observation(mark: str, name: str, when: str) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"{mark}-{name}",
        "identifier": [{"value": mark}],
        "status": "final",
        "code": {"text": "x"},
        "effectiveDateTime": when,
    }


@pytest.fixture
async def mark(shared_server: FhirClient) -> str:
    """The identifier of 23 Observations with two dates between them, in one transaction and so of one time."""
    made = uuid4().hex
    rows = [observation(made, f"{n:02}", "2020-03-15" if n % 5 else "2021") for n in range(MATCHES)]
    entries = [{"request": {"method": "PUT", "url": f"Observation/{r['id']}"}, "resource": r} for r in rows]
    answer = await shared_server.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200
    return made


def next_url(bundle: Json) -> str:
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")


def found(bundle: Json) -> list[str]:
    return [e["resource"]["id"].rpartition("-")[2] for e in bundle.get("entry", [])]


@pytest.mark.parametrize("order", ORDERS)
async def test_following_next_gives_each_once(shared_server: FhirClient, mark: str, order: str) -> None:
    whole = found((await shared_server.get(f"Observation?identifier={mark}&_count=100{order}")).json())
    page = (await shared_server.get(f"Observation?identifier={mark}&_count=4{order}")).json()
    seen, sizes = found(page), [len(page["entry"])]
    while url := next_url(page):
        page = (await shared_server.http.get(url)).json()
        seen += found(page)
        sizes.append(len(page["entry"]))
    assert sorted(seen) == [f"{n:02}" for n in range(MATCHES)]
    assert seen == whole
    assert sizes == [4, 4, 4, 4, 4, 3]


@pytest.mark.parametrize("order", ["&_sort=date", "&_sort=-date", "&_sort=_id", "&_sort=status,_id"])
async def test_writes_in_between_do_not_skip_or_repeat_the_unchanged(
    shared_server: FhirClient, mark: str, order: str
) -> None:
    page = (await shared_server.get(f"Observation?identifier={mark}&_count=5{order}")).json()
    seen, turn = found(page), 0
    while url := next_url(page):
        added = observation(mark, f"n{turn}", "2020-03-15")
        assert (await shared_server.put(f"Observation/{added['id']}", added)).status_code == 201
        assert (await shared_server.delete(f"Observation/{mark}-{seen[turn]}")).status_code == 204
        page = (await shared_server.http.get(url)).json()
        seen += found(page)
        turn += 1
    unchanged = [name for name in seen if not name.startswith("n")]
    assert sorted(unchanged) == [f"{n:02}" for n in range(MATCHES)]
    assert len(seen) == len(set(seen))


async def test_a_cursor_that_was_changed_or_moved_is_refused(shared_server: FhirClient, mark: str) -> None:
    page = (await shared_server.get(f"Observation?identifier={mark}&_count=5")).json()
    url = next_url(page)
    head, _, cursor = url.partition("_cursor=")
    flipped = cursor[:30] + ("A" if cursor[30] != "A" else "B") + cursor[31:]
    for wrong in (
        f"{head}_cursor={flipped}",
        f"{head}_cursor=x",
        url.replace("Observation?", "Observation?status=final&"),
    ):
        answer = await shared_server.http.get(wrong)
        assert answer.status_code == 400, wrong
        assert answer.json()["issue"][0]["location"] == ["http._cursor"]


async def test_count_has_a_maximum_and_zero_only_counts(shared_server: FhirClient, mark: str) -> None:
    none = (await shared_server.get(f"Observation?identifier={mark}&_count=0")).json()
    assert (none["total"], "entry" in none, next_url(none)) == (MATCHES, False, "")
    many = await shared_server.get(f"Observation?identifier={mark}&_count=999999999999")
    assert len(many.json()["entry"]) == MATCHES
