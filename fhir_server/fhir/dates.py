"""Dates, dateTimes and instants of any precision as intervals of time. https://hl7.org/fhir/R4/datatypes.html#dateTime

A partial date is not a point: `2024-02` is every millisecond of that month. Search compares such intervals
(https://hl7.org/fhir/R4/search.html#date), so they are half open, in UTC, in whole milliseconds since 1970.
Nothing here repeats what it was given in a message: dates of birth are not for logs.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Longer text is refused, so that what the cache holds stays small.
MAX_LENGTH = 64

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY = date.min.toordinal() - _EPOCH
_LAST_DAY = date.max.toordinal() - _EPOCH

# Tables instead of int(): they take two ASCII digits in range and nothing else (int() takes " 7", "+7" and "٧").
_HOURS = {f"{n:02}": n * HOUR for n in range(24)}
_MINUTES = {f"{n:02}": n * MINUTE for n in range(60)}
_SECONDS = {f"{n:02}": n * SECOND for n in range(61)}
_MILLISECONDS = {f"{n:03}": n for n in range(1000)}
_WIDTHS = {1: 100, 2: 10}
_NEXT_MONTH = {f"{n:02}": f"{n + 1:02}" for n in range(1, 12)}
_ZONES = {"": 0, "Z": 0, "+14:00": 14 * HOUR, "-14:00": -14 * HOUR} | {
    f"{sign}{hours}:{minutes}": (h + m) * (1 if sign == "+" else -1)
    for sign in "+-"
    for hours, h in _HOURS.items()
    if h < 14 * HOUR
    for minutes, m in _MINUTES.items()
}

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=16_384)
def parse_range(text: str) -> tuple[int, int]:
    """Return (low, high) in UTC milliseconds since 1970, such that low <= t < high for every t the text covers.

    Takes years 0001 to 9999, months, days, and times with minutes, seconds or fractions. A date is a day in UTC, and so
    is a time without a zone, which search allows and resources do not. A second of 60 is the first of the next minute.
    Digits beyond the millisecond do not narrow the interval. Raises ValueError on anything else.
    """
    try:
        if len(text) > 10:
            return _time(text)
        if len(text) == 10:
            low = _day(text)
            return low, low + DAY
        if len(text) == 7:
            return _month(text)
        if len(text) == 4:
            return _year(text)
    except (KeyError, IndexError, ValueError):
        pass
    raise ValueError(
        "not a FHIR date or time: write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.fff] with a zone, "
        "Z or +hh:mm (in a URL the + is written %2B)"
    )


def parse_search_date(text: str) -> tuple[str, int, int]:
    """Return (prefix, low, high) of a date in a query string; without a prefix it is `eq`.

    What `ap` widens the interval by depends on the time of asking, so it is left to the caller. Raises ValueError.
    """
    prefix = text[:2]
    if prefix in PREFIXES:
        return prefix, *parse_range(text[2:])
    if prefix.isalpha():
        raise ValueError(f"not a prefix of a date: use one of {', '.join(PREFIXES)}, or none")
    return "eq", *parse_range(text)


def format_instant(milliseconds: int) -> str:
    """Return the instant in UTC with milliseconds, as meta.lastUpdated has. Raises ValueError outside years 1-9999."""
    seconds, fraction = divmod(milliseconds, SECOND)
    days, rest = divmod(seconds, 86_400)
    minutes, second = divmod(rest, 60)
    return f"{_day_texts(days)[0]}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{fraction:03}Z"


def parse_http_date(text: str) -> int:
    """Return the seconds since 1970 of an HTTP date, https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7.

    Only IMF-fixdate, the one form that may be sent; the two obsolete ones, and a weekday that is not the date's, raise
    ValueError (a conditional header that is not understood is ignored).
    """
    try:
        day = date(int(text[12:16]), _MONTHS.index(text[8:11]) + 1, int(text[5:7]))
        time = _HOURS[text[17:19]] + _MINUTES[text[20:22]] + _SECONDS[text[23:25]]
        seconds = (day.toordinal() - _EPOCH) * 86_400 + time // SECOND
        leap = text[23:25] == "60"
        if format_http_date(seconds - leap).replace(":59 ", ":60 " if leap else ":59 ") == text:
            return seconds
    except (KeyError, ValueError):
        pass
    raise ValueError("not an HTTP date: write it as in Sun, 06 Nov 1994 08:49:37 GMT")


def format_http_date(seconds: int) -> str:
    """Return the IMF-fixdate of seconds since 1970, as in Last-Modified. Raises ValueError outside years 1-9999."""
    days, rest = divmod(seconds, 86_400)
    minutes, second = divmod(rest, 60)
    return f"{_day_texts(days)[1]} {minutes // 60:02}:{minutes % 60:02}:{second:02} GMT"


@lru_cache(maxsize=4_096)
def _day_texts(days: int) -> tuple[str, str]:
    """Return the day, counted from 1970-01-01, as FHIR and as HTTP write it. Few days make most of the load."""
    if not _FIRST_DAY <= days <= _LAST_DAY:
        raise ValueError("a time outside the years 0001 to 9999 cannot be written")
    day = date.fromordinal(days + _EPOCH)
    http = f"{_WEEKDAYS[day.weekday()]}, {day.day:02} {_MONTHS[day.month - 1]} {day.year:04}"
    return day.isoformat(), http


def _year(text: str) -> tuple[int, int]:
    low = _day(f"{text}-01-01")
    return low, _day(f"{text}-12-31") + DAY


def _month(text: str) -> tuple[int, int]:
    low = _day(f"{text}-01")
    if text[5:] == "12":
        return low, low + 31 * DAY
    return low, _day(f"{text[:5]}{_NEXT_MONTH[text[5:]]}-01")


def _day(text: str) -> int:
    """Return the first millisecond of YYYY-MM-DD; the two dashes keep out the other forms that Python reads."""
    if text[4] != "-" or text[7] != "-":
        raise ValueError
    return (date.fromisoformat(text).toordinal() - _EPOCH) * DAY


def _time(text: str) -> tuple[int, int]:
    if text[10] != "T" or text[13] != ":" or len(text) > MAX_LENGTH:
        raise ValueError
    low = _day(text[:10]) + _HOURS[text[11:13]] + _MINUTES[text[14:16]]
    zone = text[16:]
    width = MINUTE
    if zone[:1] == ":":
        low += _SECONDS[text[17:19]]
        zone = text[19:]
        width = SECOND
        if zone[:1] == ".":
            fraction, zone, width = _fraction(zone)
            low += fraction
    low -= _ZONES[zone]
    return low, low + width


def _fraction(text: str) -> tuple[int, str, int]:
    """Return the milliseconds, the zone that follows and the width of `.123Z`."""
    if text[-1] == "Z":
        digits, zone = text[1:-1], "Z"
    elif text[-3:-2] == ":":
        digits, zone = text[1:-6], text[-6:]
    else:
        digits, zone = text[1:], ""
    if len(digits) == 3:
        return _MILLISECONDS[digits], zone, 1
    if len(digits) < 3:
        return _MILLISECONDS[digits.ljust(3, "0")], zone, _WIDTHS[len(digits)]
    if not (digits.isdigit() and digits.isascii()):
        raise ValueError
    return _MILLISECONDS[digits[:3]], zone, 1
