"""Patient/$everything with a server in memory. https://hl7.org/fhir/R4/patient-operation-everything.html"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from fhir_server.api import Deleted, InvalidRequest, NotFound, TooCostly, decode_stored
from operations.conftest import BASE, NOW, Calling, Records
from operations.everything import everything, everything_of_all, record

Json = dict[str, Any]
DAY = 86_400_000


def observation(name: str, patient: str = "Patient/1", **more: Any) -> Json:
    return {"resourceType": "Observation", "id": name, "subject": {"reference": patient}, **more}


@pytest.fixture(autouse=True)
def two_patients(records: Records) -> None:
    """Patient 1 with three observations of different days, and an encounter without a date; patient 2 with one."""
    records.add(
        {"resourceType": "Patient", "id": "1", "managingOrganization": {"reference": "Organization/o"}}, moment=5
    )
    records.add({"resourceType": "Patient", "id": "2"}, moment=4)
    records.add({"resourceType": "Organization", "id": "o"})
    records.add({"resourceType": "Organization", "id": "unused"})
    records.add({"resourceType": "Practitioner", "id": "p"})
    records.add(observation("old"), moment=1 * DAY, updated=NOW - 10)
    records.add(observation("new", performer=[{"reference": "Practitioner/p"}]), moment=3 * DAY)
    records.add(observation("mid", encounter={"reference": "Encounter/e"}), moment=2 * DAY)
    records.add({"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/1"}}, moment=0)
    records.add(observation("other", "Patient/2"), moment=9 * DAY)


def entries(raw: bytes, mode: str = "") -> list[str]:
    """Return the keys of a searchset, in order; of a mode or of all."""
    rows = decode_stored(raw).get("entry", [])
    for row in rows:
        assert row["fullUrl"] == f"{BASE}/{row['resource']['resourceType']}/{row['resource']['id']}"
    return [r["fullUrl"][len(BASE) + 1 :] for r in rows if mode in ("", r["search"]["mode"])]


def link(raw: bytes, relation: str) -> str:
    found = [row["url"] for row in decode_stored(raw)["link"] if row["relation"] == relation]
    return found[0] if found else ""


async def all_pages(calling: Calling, handler: Any, on: str, **parameters: Any) -> list[bytes]:
    pages = [await handler(calling(on, **parameters))]
    while url := link(pages[-1], "next"):
        cursor = dict(parse_qsl(urlsplit(url).query))["_cursor"]
        pages.append(await handler(calling(on, cursor=cursor, **parameters)))
        assert len(pages) < 20
    return pages


async def test_the_patient_then_the_record_newest_first_then_what_it_refers_to(calling: Calling) -> None:
    raw = await everything(calling("Patient/1"))
    assert entries(raw, "match") == [
        "Patient/1",
        "Observation/new",
        "Observation/mid",
        "Observation/old",
        "Encounter/e",
    ]
    assert entries(raw, "include") == ["Organization/o", "Practitioner/p"]
    assert decode_stored(raw)["type"] == "searchset"
    assert decode_stored(raw)["total"] == 5
    assert link(raw, "self") == f"{BASE}/Patient/1/$everything"
    assert link(raw, "next") == ""


async def test_one_search_and_no_read_of_its_own_for_the_patient(calling: Calling, records: Records) -> None:
    await everything(calling("Patient/1"))
    assert records.searches == 1


async def test_a_patient_nobody_knows(calling: Calling) -> None:
    with pytest.raises(NotFound, match=r"There is no Patient/3\."):
        await everything(calling("Patient/3"))


@pytest.mark.parametrize("parameters", [{}, {"_count": 2}])
async def test_a_deleted_patient(calling: Calling, records: Records, parameters: Json) -> None:
    records.delete("Patient/1")
    with pytest.raises(Deleted) as refused:
        await everything(calling("Patient/1", **parameters))
    assert refused.value.version == 2


async def test_types_narrow_the_record_and_what_it_refers_to(calling: Calling) -> None:
    raw = await everything(calling("Patient/1", _type=["Observation,Practitioner"]))
    assert entries(raw, "match") == ["Observation/new", "Observation/mid", "Observation/old"]
    assert entries(raw, "include") == ["Practitioner/p"]
    assert link(raw, "self") == f"{BASE}/Patient/1/$everything?_type=Observation,Practitioner"


async def test_an_unknown_type_is_refused(calling: Calling) -> None:
    with pytest.raises(InvalidRequest, match="no resource type 'Observations'"):
        await everything(calling("Patient/1", _type=["Observations"]))


async def test_care_dates_keep_what_has_none_and_the_patient(calling: Calling) -> None:
    raw = await everything(calling("Patient/1", start="1970-01-03", end="1970-01-03"))
    assert entries(raw) == ["Patient/1", "Observation/mid", "Encounter/e", "Organization/o"]


async def test_start_after_end_is_refused(calling: Calling) -> None:
    with pytest.raises(InvalidRequest, match="start must not be later than end"):
        await everything(calling("Patient/1", start="2024-02-01", end="2024-01-31"))


async def test_since_leaves_out_what_was_written_before(calling: Calling, records: Records) -> None:
    records.add({"resourceType": "Patient", "id": "1"}, moment=5, updated=NOW - 20)
    raw = await everything(calling("Patient/1", _since="2023-11-14T22:13:20.000Z"))
    assert entries(raw) == ["Observation/new", "Observation/mid", "Encounter/e", "Practitioner/p"]


async def test_what_belongs_to_another_patient_is_never_included(calling: Calling, records: Records) -> None:
    records.add(observation("new", focus=[{"reference": "Observation/other"}, {"reference": "Patient/2"}]), moment=1)
    records.add(observation("x", device={"reference": "Device/of-2"}, specimen={"reference": "Device/of-1"}), moment=1)
    records.add({"resourceType": "Device", "id": "of-1", "patient": {"reference": "Patient/1"}})
    records.add({"resourceType": "Device", "id": "of-2", "patient": {"reference": "Patient/2"}})
    assert entries(await everything(calling("Patient/1")), "include") == ["Device/of-1", "Organization/o"]


async def test_deleted_and_missing_references_are_passed_over(calling: Calling, records: Records) -> None:
    records.delete("Practitioner/p")
    del records.by_key["Organization/o"]
    assert entries(await everything(calling("Patient/1")), "include") == []


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("born", [0, 2, 9])
async def test_pages_make_up_the_record_without_gap_or_repetition(
    calling: Calling, records: Records, count: int, born: int
) -> None:
    records.add({"resourceType": "Patient", "id": "1"}, moment=born * DAY)
    pages = await all_pages(calling, everything, "Patient/1", _count=count)
    shown = [key for page in pages for key in entries(page, "match")]
    assert shown == entries(await everything(calling("Patient/1")), "match")
    assert [len(entries(page, "match")) for page in pages] == [count] * (5 // count) + [5 % count] * bool(5 % count)


async def test_a_page_includes_what_its_own_resources_refer_to(calling: Calling) -> None:
    pages = await all_pages(calling, everything, "Patient/1", _count=2)
    assert [entries(page, "include") for page in pages] == [["Organization/o", "Practitioner/p"], [], []]


async def test_the_next_link_keeps_the_parameters(calling: Calling) -> None:
    raw = await everything(calling("Patient/1", start="1970-01-02", _count=2))
    split = urlsplit(link(raw, "next"))
    assert split.path == "/fhir/Patient/1/$everything"
    assert [pair for pair in parse_qsl(split.query) if pair[0] != "_cursor"] == [
        ("start", "1970-01-02"),
        ("_count", "2"),
    ]
    assert "total" not in decode_stored(raw)


async def test_a_cursor_is_good_for_its_own_query_only(calling: Calling) -> None:
    cursor = dict(parse_qsl(urlsplit(link(await everything(calling("Patient/1", _count=2)), "next")).query))["_cursor"]
    with pytest.raises(InvalidRequest):
        await everything(calling("Patient/2", _count=2, cursor=cursor))
    with pytest.raises(InvalidRequest):
        await everything(calling("Patient/1", _count=2, _type=["Observation"], cursor=cursor))


@pytest.mark.parametrize("count", [0, -1])
async def test_a_page_has_at_least_one_resource(calling: Calling, count: int) -> None:
    with pytest.raises(InvalidRequest, match="_count must be a whole number of at least 1"):
        await everything(calling("Patient/1", _count=count))


class TestLongRecords:
    @pytest.fixture(autouse=True)
    def small_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(record, "CHUNK", 2)
        monkeypatch.setattr(record, "MAX_RESOURCES", 5)

    async def test_exactly_the_limit_is_answered(self, calling: Calling) -> None:
        raw = await everything(calling("Patient/1"))
        expected = ["Patient/1", "Observation/new", "Observation/mid", "Observation/old", "Encounter/e"]
        assert entries(raw, "match") == expected

    async def test_one_past_the_limit_is_refused_with_the_way_out(self, calling: Calling, records: Records) -> None:
        records.add(observation("one-more"))
        with pytest.raises(TooCostly, match="Page with _count"):
            await everything(calling("Patient/1"))

    async def test_too_many_bytes_are_refused(self, calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(record, "MAX_BYTES", 100)
        with pytest.raises(TooCostly):
            await everything(calling("Patient/1"))

    async def test_pages_serve_any_length(self, calling: Calling, records: Records) -> None:
        records.add(observation("one-more"))
        pages = await all_pages(calling, everything, "Patient/1", _count=4)
        assert [len(entries(page, "match")) for page in pages] == [4, 2]


class TestAllPatients:
    async def test_one_record_after_the_other(self, calling: Calling) -> None:
        raw = await everything_of_all(calling("Patient"))
        first = ["Patient/1", "Observation/new", "Observation/mid", "Observation/old", "Encounter/e"]
        assert entries(raw, "match") == [*first, "Patient/2", "Observation/other"]
        assert entries(raw, "include") == ["Organization/o", "Practitioner/p"]
        assert link(raw, "self") == f"{BASE}/Patient/$everything"

    @pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8])
    async def test_pages_make_up_all_records(self, calling: Calling, count: int) -> None:
        pages = await all_pages(calling, everything_of_all, "Patient", _count=count)
        shown = [key for page in pages for key in entries(page, "match")]
        assert shown == entries(await everything_of_all(calling("Patient")), "match")
        assert max(len(entries(page, "match")) for page in pages) == min(count, 7)

    async def test_a_patient_deleted_between_pages_is_passed_over(self, calling: Calling, records: Records) -> None:
        first = await everything_of_all(calling("Patient", _count=2))
        cursor = dict(parse_qsl(urlsplit(link(first, "next")).query))["_cursor"]
        records.delete("Patient/1")
        raw = await everything_of_all(calling("Patient", _count=2, cursor=cursor))
        assert entries(raw, "match") == ["Patient/2", "Observation/other"]

    async def test_types_hold_for_every_record(self, calling: Calling) -> None:
        pages = await all_pages(calling, everything_of_all, "Patient", _count=1, _type=["Encounter"])
        assert [key for page in pages for key in entries(page)] == ["Encounter/e"]

    async def test_a_resource_of_two_patients_is_shown_once(self, calling: Calling, records: Records) -> None:
        records.add(observation("shared", focus=[{"reference": "Patient/2"}]), moment=1)
        raw = await everything_of_all(calling("Patient"))
        assert entries(raw, "match").count("Observation/shared") == 1
        assert decode_stored(raw)["total"] == 8

    async def test_too_many_patients_are_refused(self, calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("operations.everything.CHUNK", 1)
        with pytest.raises(TooCostly, match="more than 1 patients"):
            await everything_of_all(calling("Patient"))

    async def test_the_limit_holds_for_the_sum(self, calling: Calling, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("operations.everything.MAX_RESOURCES", 6)
        with pytest.raises(TooCostly, match="all patients"):
            await everything_of_all(calling("Patient"))
