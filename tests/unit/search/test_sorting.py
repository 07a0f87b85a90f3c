"""Orders that no index gives: by several parameters, either way, page by page. https://hl7.org/fhir/R4/search.html#sort"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.api import TooCostly
from fhir_server.fhir.dates import parse_range
from fhir_server.search import sorting
from fhir_server.search.plan import Plan, on_each
from fhir_server.search.sorting import sorted_page
from tests.unit.search.memory import NOW, PARAMETERS, PARSER, Json, Memory, planned


def patient(number: int, **elements: Any) -> Json:
    return {"resourceType": "Patient", "id": f"{number:02}", **elements}


async def pages(
    records: Memory, sort: str, size: int, plan: Plan | None = None, *, deleting: Sequence[str] = ()
) -> list[list[str]]:
    """Return the ids of all pages; those in `deleting` are deleted once they were the last that was shown."""
    query = PARSER.parse("Patient", [("_sort", sort)], strict=True)
    plan = plan or await planned(records, "Patient", ("_sort", sort))
    found: list[list[str]] = []
    after: list[str | int] | None = None
    while True:
        rows, more, fields = await sorted_page(PARAMETERS, records, plan, query, size, after)
        found.append([r.id for r in rows])
        if not more:
            return found
        after = list(fields)
        if rows[-1].id in deleting:
            records.delete(rows[-1].key)


async def in_order(records: Memory, sort: str, *, is_tested: bool = False) -> str:
    """Return the ids of all; where there is something to test, the resources themselves are read."""
    plan = await planned(records, "Patient", ("_sort", sort))
    if is_tested:
        plan = replace(plan, test=on_each(lambda resource: True))
    (ids,) = await pages(records, sort, 50, plan)
    return " ".join(ids)


@pytest.fixture
def records() -> Memory:
    memory = Memory()
    memory.add(
        patient(1, birthDate="1990-05", name=[{"family": "Zoe"}, {"family": "Ámi"}], gender="male"),
        patient(2, birthDate="1990-05-20", name=[{"family": "bea"}], gender="female"),
        patient(3, name=[{"family": "BEA"}], gender="female"),
        patient(4, birthDate="1890", gender="male"),
        patient(5, name=[{"family": "Cid"}], maritalStatus={"coding": [{"code": "M"}]}),
    )
    memory.add(patient(6, birthDate="1990-05-20", name=[{"family": "Bea"}]), updated=NOW + 1)
    return memory


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("birthdate", "04 01 02 06 03 05"),  # a month by its first day
        ("-birthdate", "01 02 06 04 03 05"),  # and by its last
        ("family", "01 02 03 06 05 04"),  # of several names the first
        ("-family", "01 05 02 03 06 04"),  # or the last, and what has none comes last all the same
        ("family,birthdate", "01 02 06 03 05 04"),
        ("family,-birthdate", "01 02 06 03 05 04"),
        ("birthdate,-_id", "04 01 06 02 05 03"),
        ("gender", "02 03 01 04 05 06"),
        ("-gender,family", "01 04 02 03 06 05"),
        ("-gender,-birthdate", "01 04 02 03 06 05"),
        ("-_lastUpdated,_id", "06 01 02 03 04 05"),
        ("_lastUpdated,-_id", "05 04 03 02 01 06"),
        ("-_id", "06 05 04 03 02 01"),
    ],
)
async def test_an_order(records: Memory, sort: str, expected: str) -> None:
    assert await in_order(records, sort) == expected
    assert await in_order(records, sort, is_tested=True) == expected


async def test_what_the_index_orders_is_read_for_the_page_only(records: Memory) -> None:
    assert await pages(records, "family,birthdate", 2) == [["01", "02"], ["06", "03"], ["05", "04"]]
    assert records.searches == []
    assert records.reads[0] == ("Patient/01", "Patient/02")
    assert len(records.outlined) == 3


@pytest.mark.parametrize("limit", ["MAX_SORTED", "MAX_SORTED_BY_INDEX"])
async def test_what_cannot_be_sorted_whole_is_refused(
    records: Memory, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    sort = "gender" if limit == "MAX_SORTED" else "family"
    monkeypatch.setattr(sorting, limit, 6)
    assert len((await pages(records, sort, 50))[0]) == 6
    monkeypatch.setattr(sorting, limit, 5)
    with pytest.raises(TooCostly, match="More than 5 "):
        await pages(records, sort, 50)


async def test_a_page_goes_on_behind_what_was_deleted(records: Memory) -> None:
    shown = await pages(records, "family", 1, deleting=["01", "03", "05"])
    assert shown == [["01"], ["02"], ["03"], ["06"], ["05"], ["04"]]
    assert await in_order(records, "family") == "02 06 04"


async def test_a_page_goes_on_behind_where_what_has_moved_was(records: Memory) -> None:
    query = PARSER.parse("Patient", [("_sort", "-family")], strict=True)
    plan = await planned(records, "Patient", ("_sort", "-family"))
    _, _, fields = await sorted_page(PARAMETERS, records, plan, query, 2, None)
    records.add(patient(5, name=[{"family": "Zz"}]))
    rows, more, _ = await sorted_page(PARAMETERS, records, plan, query, 9, list(fields))
    assert ([r.id for r in rows], more) == (["02", "03", "06", "04"], False)


FAMILIES = [[], ["Anna"], ["anna"], ["Bea"], ["Bea", "anna"], ["Zoe", "Bea"]]
BIRTHDAYS = [None, "1990", "1990-05", "1990-05-20", "1991-01-01", "0001"]
GENDERS = [None, "male", "female"]


def value(resource: Json, code: str, *, descending: bool) -> str | int | None:
    """Return what a resource sorts by, or None."""
    pick = max if descending else min
    if code == "family":
        return pick((name["family"].lower() for name in resource["name"]), default=None)
    if code == "birthdate":
        return parse_range(resource["birthDate"])[descending] if "birthDate" in resource else None
    found: str | None = resource.get("gender")
    return found


def compared(keys: Sequence[tuple[str, bool]], one: Json, other: Json) -> int:
    """Return the order of two resources, key by key."""
    for code, descending in keys:
        a, b = (value(r, code, descending=descending) for r in (one, other))
        if a != b:
            if a is None or b is None:
                return 1 if a is None else -1
            return (1 if a > b else -1) * (-1 if descending else 1)  # type: ignore[operator]
    return 1 if one["id"] > other["id"] else -1


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(FAMILIES), st.sampled_from(BIRTHDAYS), st.sampled_from(GENDERS)), max_size=12),
    st.lists(
        st.tuples(st.sampled_from(["family", "birthdate", "gender"]), st.booleans()),
        min_size=1,
        max_size=3,
        unique_by=lambda key: key[0],
    ),
    st.integers(1, 4),
    st.booleans(),
    st.sets(st.integers(0, 11).map(lambda n: f"{n:02}")),
)
async def test_pages_have_each_once_in_order_whatever_is_deleted_behind_them(
    rows: list[Any], keys: list[tuple[str, bool]], size: int, is_tested: bool, deleting: set[str]
) -> None:
    records = Memory()
    resources = []
    for number, (families, birthday, gender) in enumerate(rows):
        whole = patient(number, name=[{"family": f} for f in families], birthDate=birthday, gender=gender)
        resources.append({name: v for name, v in whole.items() if v is not None})
    records.add(*resources)
    resources.sort(key=cmp_to_key(lambda one, other: compared(keys, one, other)))
    sort = ",".join(("-" if descending else "") + code for code, descending in keys)
    plan = await planned(records, "Patient", ("_sort", sort))
    if is_tested:  # the resources themselves are read then
        plan = replace(plan, test=on_each(lambda resource: True))
    found = await pages(records, sort, size, plan, deleting=sorted(deleting))
    assert [i for page in found for i in page] == [r["id"] for r in resources]
    assert all(len(page) == size for page, _ in pairwise(found))
