"""Dates. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.date import DateAsked, asked_date

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", DateAsked("eq", 0, DAY)),
        ("ge1970", DateAsked("ge", 0, 365 * DAY)),
        ("lt1970-01", DateAsked("lt", 0, 31 * DAY)),
        ("ap1970-01-01T01:00:00+01:00", DateAsked("ap", 0, 1000)),
        ("1970-01-01T00:00Z", DateAsked("eq", 0, 60_000)),
        ("1970-01-01T00:00", DateAsked("eq", 0, 60_000)),
        ("1970-01-01T00:00:00.5Z", DateAsked("eq", 500, 600)),
    ],
)
def test_date_values(text: str, expected: DateAsked) -> None:
    assert asked_date(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ge", "1970-1-1", "1970-02-30", "yesterday", "1970-01-01T00:00:00 01:00", "xx1970"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a date such as"):
        asked_date(text)


@pytest.mark.parametrize(
    ("held", "value", "expected"),
    [
        ("2013-01-14", "2013-01-14", True),
        ("2013-01-14T10:00:00Z", "2013-01-14", True),
        ("2013-01-14T23:30:00-05:00", "2013-01-14", False),
        ("2013-01-14T23:30:00-05:00", "2013-01-15", True),
        ("2013-01", "2013-01-14", False),
        ("2013-01-14", "2013-01", True),
        ("2013-01-14", "ne2013-01-15", True),
        ("2013-01-14", "ne2013-01-14", False),
        ("2013-01-14T10:00:00Z", "ne2013-01-14", False),
        ("2013-01", "ne2013-01-14", True),
        ("2013-01-14T10:00:00Z", "2013-01-14T10:00", True),
        ("2013-01-14T10:00:00.123Z", "2013-01-14T10:00:00Z", True),
        ("2013-01-14T10:00:00Z", "2013-01-14T10:00:00.000Z", False),
        ("2013-01-15", "gt2013-01-14", True),
        ("2013-01-14", "gt2013-01-14", False),
        ("2013-01", "gt2013-01-14", True),
        ("2013-01", "lt2013-01-14", True),
        ("2013-01-14T10:00:00Z", "lt2013-01-14T10:00:00Z", False),
        ("2013-01-14T10:00:00Z", "lt2013-01-14T10:00:01Z", True),
        ("2013-01-14", "ge2013-01-14", True),
        ("2013-01-13", "ge2013-01-14", False),
        ("2013", "ge2013-12-30", True),
        ("2013", "ge2014", False),
        ("2013", "ge2013-12-31", False),
        ("2013", "le2013-01-01", False),
        ("2013-01-14", "le2013-01-14", True),
        ("2013-01-15", "le2013-01-14", False),
        ("2013", "le2013-01-02", True),
        ("2013-01-15", "sa2013-01-14", True),
        ("2013-01-14", "sa2013-01-14", False),
        ("2013", "sa2013-01-14", False),
        ("2013-01-13", "eb2013-01-14", True),
        ("2013-01-14", "eb2013-01-14", False),
        ("2025-11-23", "ap2026-11-23", False),
        ("2026-11-22", "ap2026-11-23", True),
        ("2026-11-21", "ap2026-11-23", False),
        ("2026-11-24", "ap2026-11-23", True),
        ("2026-11-25", "ap2026-11-23", False),
        ("2007-01-01", "ap2006", True),
        ("2003-06-01", "ap2006", False),
        ("2004-01-01", "ap2006", True),
    ],
)
def test_points_and_days(matches: Callable[..., bool], held: str, value: str, *, expected: bool) -> None:
    assert matches({"resourceType": "Observation", "effectiveDateTime": held}, "date", value) is expected


@pytest.mark.parametrize(
    ("period", "value", "expected"),
    [
        ({"start": "2013-01-10", "end": "2013-01-20"}, "2013-01", True),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "2013-01-15", False),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "gt2013-01-15", True),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "gt2013-01-20", False),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "sa2013-01-09", True),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "sa2013-01-10", False),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "eb2013-01-21", True),
        ({"start": "2013-01-10", "end": "2013-01-20"}, "eb2013-01-20", False),
        ({"start": "2013-01-10"}, "gt2999", True),
        ({"start": "2013-01-10"}, "ge2013-01-11", True),
        ({"start": "2013-01-10"}, "lt2013-01-10", False),
        ({"start": "2013-01-10"}, "le2013-01-10", False),
        ({"start": "2013-01-10"}, "2013", False),
        ({"start": "2013-01-10"}, "ne2013", True),
        ({"start": "2013-01-10"}, "eb2999", False),
        ({"end": "2013-01-20"}, "lt0002", True),
        ({"end": "2013-01-20"}, "gt2013-01-20", False),
        ({"end": "2013-01-20"}, "sa0002", False),
        ({"end": "2013-01-20"}, "ap2013-01-20", True),
    ],
)
def test_periods(matches: Callable[..., bool], period: dict[str, str], value: str, *, expected: bool) -> None:
    assert matches({"resourceType": "Observation", "effectivePeriod": period}, "date", value) is expected


@pytest.mark.parametrize(
    ("timing", "value", "expected"),
    [
        ({"event": ["2013-01-31", "2013-03-24"]}, "2013", True),
        ({"event": ["2013-01-31"]}, "2013-01-31", True),
        ({"repeat": {"boundsPeriod": {"start": "2013-01-31", "end": "2013-03-24"}}}, "gt2013-02-01", True),
        ({"repeat": {"boundsPeriod": {"start": "2013-01-31"}}}, "gt2999", True),
        ({"code": {"text": "BID"}}, "ne2013", False),
    ],
)
def test_timings(matches: Callable[..., bool], timing: dict[str, Any], value: str, *, expected: bool) -> None:
    assert matches({"resourceType": "Observation", "effectiveTiming": timing}, "date", value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    patient = {"resourceType": "Patient", "birthDate": "1990-05-05"}
    assert matches(patient, "birthdate", "1980", "1990-05")
    assert not matches(patient, "birthdate", "1980", "1991")
    assert not matches({"resourceType": "Patient"}, "birthdate", "ne1980")


def test_malformed_values_and_modifiers_are_refused(matches: Callable[..., bool]) -> None:
    with pytest.raises(InvalidRequest, match="birthdate must be a date") as refused:
        matches({"resourceType": "Patient"}, "birthdate", "1990", "tomorrow")
    assert refused.value.issues[0].location == "http.birthdate"
    with pytest.raises(InvalidRequest, match="birthdate:exact is not supported"):
        matches({"resourceType": "Patient"}, "birthdate:exact", "1990")
