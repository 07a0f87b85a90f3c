"""Intervals of partial dates, search prefixes, instants and HTTP dates, against the standard library as oracle."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.fhir.dates import (
    DAY,
    HOUR,
    MAX_LENGTH,
    MINUTE,
    PREFIXES,
    SECOND,
    format_http_date,
    format_instant,
    parse_http_date,
    parse_range,
    parse_search_date,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_1 = -62_135_596_800_000
YEAR_10000 = 253_402_300_800_000


def at(*parts: int) -> int:
    return (datetime(*parts, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1970", 0, 365 * DAY),
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("0001", YEAR_1, at(2, 1, 1)),
        ("9999", at(9999, 1, 1), YEAR_10000),
        ("2024-02", at(2024, 2, 1), at(2024, 3, 1)),
        ("2023-02", at(2023, 2, 1), at(2023, 3, 1)),
        ("2023-12", at(2023, 12, 1), at(2024, 1, 1)),
        ("9999-12", at(9999, 12, 1), YEAR_10000),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2000-02-29", at(2000, 2, 29), at(2000, 3, 1)),
        ("1969-12-31", -DAY, 0),
        ("9999-12-31", YEAR_10000 - DAY, YEAR_10000),
        ("1970-01-01T00:00Z", 0, MINUTE),
        ("1970-01-01T00:01+01:00", MINUTE - HOUR, 2 * MINUTE - HOUR),
        ("1970-01-01T00:01-01:30", 91 * MINUTE, 92 * MINUTE),
        ("1970-01-01T00:01", MINUTE, 2 * MINUTE),
        ("1970-01-01T00:00:01", SECOND, 2 * SECOND),
        ("1970-01-01T00:00:01.5", 1500, 1600),
        ("1970-01-01T23:59:59Z", DAY - SECOND, DAY),
        ("1970-01-01T00:00:00+14:00", -14 * HOUR, -14 * HOUR + SECOND),
        ("1970-01-01T00:00:00-14:00", 14 * HOUR, 14 * HOUR + SECOND),
        ("1970-01-01T00:00:00+13:59", -14 * HOUR + MINUTE, -14 * HOUR + MINUTE + SECOND),
        ("1970-01-01T00:00:00-00:00", 0, SECOND),
        ("1970-01-01T00:00:00.1Z", 100, 200),
        ("1970-01-01T00:00:00.12Z", 120, 130),
        ("1970-01-01T00:00:00.123Z", 123, 124),
        ("1970-01-01T00:00:00.1239Z", 123, 124),
        ("1970-01-01T00:00:00.000001+01:00", -HOUR, -HOUR + 1),
        ("1970-01-01T00:00:00.25-05:00", 5 * HOUR + 250, 5 * HOUR + 260),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1), at(2017, 1, 1) + SECOND),
        ("2016-12-31T23:59:60.5Z", at(2017, 1, 1) + 500, at(2017, 1, 1) + 600),
    ],
)
def test_range(text: str, low: int, high: int) -> None:
    assert parse_range(text) == (low, high)


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("year", [1900, 2000, 2023, 2024])
def test_months_end_where_the_next_begins(year: int, month: int) -> None:
    end = at(year + month // 12, month % 12 + 1, 1)
    assert parse_range(f"{year}-{month:02}") == (at(year, month, 1), end)


MALFORMED = [
    "",
    "0000",
    "0000-01",
    "0000-01-01",
    "202",
    "20240",
    "24-01-01",
    "2024-",
    "2024-1",
    "2024-00",
    "2024-13",
    "2024/01",
    "2024-01-",
    "2024-1-01",
    "2024-01-00",
    "2024-01-32",
    "2024-04-31",
    "2023-02-29",
    "1900-02-29",
    "2024/01/01",
    "2024-01/01",
    "20240101",
    "2024-W01-1",
    "2024-W01",
    "2024001",
    "2024-01-01T",
    "2024-01-01Z",
    "2024-01-01T10",
    "2024-01-01T10Z",
    "2024-01-01T1010",
    "2024-01-01t10:10:00Z",
    "2024-01-01 10:10:00Z",
    "2024-01-01T24:00:00Z",
    "2024-01-01T10:60:00Z",
    "2024-01-01T10:10:61Z",
    "2024-01-01T10:1:00Z",
    "2024-01-01T10:10:",
    "2024-01-01T10:10:1Z",
    "2024-01-01T10:10:00,5Z",
    "2024-01-01T10:10:00.",
    "2024-01-01T10:10:00.Z",
    "2024-01-01T10:10:00.+01:00",
    "2024-01-01T10:10:00.1.2Z",
    "2024-01-01T10:10:00.1 Z",
    "2024-01-01T10:10:00.12345x",
    "2024-01-01T10:10:00.١٢٣٤Z",
    "2024-01-01T10:10:00.-12Z",
    "2024-01-01T10:10:00z",
    "2024-01-01T10:10:00ZZ",
    "2024-01-01T10:10:00Z ",
    "2024-01-01T10:10:00+14:01",
    "2024-01-01T10:10:00+15:00",
    "2024-01-01T10:10:00+01:60",
    "2024-01-01T10:10:00+0100",
    "2024-01-01T10:10:00+01",
    "2024-01-01T10:10:00 01:00",
    "2024-01-01T10:10+1:00",
    " 2024-01-01",
    "2024-01-01\n",
    "+024",
    "2_24",
    "-024-01-01",
    "٢٠٢٤",
    "٢٠٢٤-01-01",
    "2024-01-01T٠٠:00:00Z",
    "2024-01-01T10:10:00." + "1" * MAX_LENGTH + "Z",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a FHIR date or time: write YYYY"):
        parse_range(text)


def test_the_refusal_does_not_repeat_the_text() -> None:
    with pytest.raises(ValueError, match="not a FHIR date") as caught:
        parse_range("1951-13-09")
    assert "1951" not in str(caught.value)


def test_the_longest_text() -> None:
    text = "1970-01-01T00:00:00.".ljust(MAX_LENGTH - 1, "9") + "Z"
    assert len(text) == MAX_LENGTH
    assert parse_range(text) == (999, 1000)


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - the zone is drawn too
    st.integers(-14 * 60, 14 * 60),
)
def test_every_instant_is_what_the_standard_library_says(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    low = (zoned - EPOCH) // timedelta(milliseconds=1)
    assert parse_range(zoned.isoformat(timespec="milliseconds")) == (low, low + 1)
    assert parse_range(zoned.isoformat(timespec="microseconds")) == (low, low + 1)
    second = low - low % SECOND
    assert parse_range(zoned.isoformat(timespec="seconds")) == (second, second + SECOND)
    minute = low - low % MINUTE
    assert parse_range(zoned.isoformat(timespec="minutes")) == (minute, minute + MINUTE)


@given(st.dates())
def test_a_narrower_date_lies_within_the_wider(day: object) -> None:
    text = str(day)
    ranges = [parse_range(form) for form in (text[:4], text[:7], text, f"{text}T12:00Z", f"{text}T12:00:00.0Z")]
    for (low, high), (inner_low, inner_high) in pairwise(ranges):
        assert low <= inner_low < inner_high <= high


@given(st.one_of(st.text(max_size=40), st.text(string.digits + "-:.TZ+ W", max_size=40)))
@example("2024-01-01T10:10:0٠Z")
def test_garbage_raises_nothing_but_value_error(text: str) -> None:
    for parse in (parse_range, parse_search_date, parse_http_date):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - what is asserted is that no other exception comes


@pytest.mark.parametrize("prefix", PREFIXES)
def test_search_prefixes(prefix: str) -> None:
    assert parse_search_date(f"{prefix}1970-01-02") == (prefix, DAY, 2 * DAY)


def test_the_prefixes_are_those_of_search() -> None:
    assert PREFIXES == ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def test_no_prefix_means_equal() -> None:
    assert parse_search_date("1970") == ("eq", 0, 365 * DAY)


@pytest.mark.parametrize("text", ["g", "xx2024", "GE2024", "eqeq2024"])
def test_an_unknown_prefix_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a (prefix of a date: use one of eq, ne|FHIR date)"):
        parse_search_date(text)


@pytest.mark.parametrize("text", ["", "ge", "g2024", "ge 2024", ">2024", "1"])
def test_a_search_date_that_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a FHIR date or time"):
        parse_search_date(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (1_795_425_480_123, "2026-11-23T09:18:00.123Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (YEAR_1, "0001-01-01T00:00:00.000Z"),
        (YEAR_10000 - 1, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_instants(milliseconds: int, text: str) -> None:
    assert format_instant(milliseconds) == text
    assert parse_range(text) == (milliseconds, milliseconds + 1)


@given(st.integers(YEAR_1, YEAR_10000 - 1))
def test_an_instant_reads_back(milliseconds: int) -> None:
    assert parse_range(format_instant(milliseconds)) == (milliseconds, milliseconds + 1)


@pytest.mark.parametrize("milliseconds", [YEAR_1 - 1, YEAR_10000, 10**30, -(10**30)])
def test_an_instant_outside_the_calendar_is_refused(milliseconds: int) -> None:
    with pytest.raises(ValueError, match=r"^a time outside the years 0001 to 9999 cannot be written$"):
        format_instant(milliseconds)
    with pytest.raises(ValueError, match=r"^a time outside the years 0001 to 9999 cannot be written$"):
        format_http_date(milliseconds // SECOND)


@given(st.integers(YEAR_1 // SECOND, YEAR_10000 // SECOND - 1))
def test_http_dates_are_what_the_standard_library_writes(seconds: int) -> None:
    text = format_http_date(seconds)
    assert text == format_datetime(EPOCH + timedelta(seconds=seconds), usegmt=True)
    assert parse_http_date(text) == seconds


def test_the_http_date_of_the_specification() -> None:
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777
    assert format_http_date(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_an_http_date_with_a_leap_second() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == at(2017, 1, 1) // SECOND


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, ٠6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    ],
)
def test_other_http_dates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an HTTP date: write it as in Sun, 06 Nov 1994 08:49:37 GMT$"):
        parse_http_date(text)
