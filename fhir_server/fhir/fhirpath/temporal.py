"""Dates, date-times and times of any precision: reading, comparing, adding. https://hl7.org/fhirpath/N1/#datetime-arithmetic"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from fhir_server.fhir.fhirpath.nodes import DATE, DATETIME, TIME

_CLOCK = r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d+)?))?)?"
_DAY = r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
_ZONE = r"(?P<zone>Z|[+-]\d\d:\d\d)?"
_PATTERNS = {
    DATE: re.compile(_DAY),
    DATETIME: re.compile(f"{_DAY}(?:T(?:{_CLOCK}{_ZONE})?)?"),
    TIME: re.compile(_CLOCK),
}
_FIELDS = {
    DATE: ("year", "month", "day"),
    DATETIME: ("year", "month", "day", "hour", "minute", "second"),
    TIME: ("hour", "minute", "second"),
}
_LIMITS = {"year": (1, 9999), "month": (1, 12), "hour": (0, 23), "minute": (0, 59)}
_HOURS = 4  # a date-time of this many parts has an hour

# How far west and east of Greenwich a time without a zone may have been written.
_EARLIEST_ZONE = 14 * 60
_LATEST_ZONE = -12 * 60

CLOCK_UNITS = frozenset({"hour", "minute", "second", "millisecond"})

Part = int | Decimal


class Temporal(msgspec.Struct, frozen=True, gc=False):
    """A point in time as far as it is known. `offset` is minutes east of UTC, None when not given."""

    kind: str
    parts: tuple[Part, ...]
    offset: int | None = None
    zone: str = ""


def parse(text: str, kind: str) -> Temporal | None:
    """Return what the text says, or None if it is no such date or time."""
    match = _PATTERNS[kind].fullmatch(text)
    if match is None:
        return None
    parts: list[Part] = []
    for field in _FIELDS[kind]:
        digits = match.group(field)
        if digits is None:
            break
        value: Part = Decimal(digits) if "." in digits else int(digits)
        if not _is_in_range(field, value, parts):
            return None
        parts.append(value)
    zone = (match.group("zone") or "") if kind == DATETIME else ""
    return Temporal(kind, tuple(parts), _minutes(zone), zone)


def is_temporal(text: str, kind: str) -> bool:
    """Whether the text is a date, date-time or time that exists."""
    return parse(text, kind) is not None


def compare(left: Temporal, right: Temporal) -> int | None:
    """Return -1, 0 or 1, or None when the precisions do not tell. Both must be times, or neither.

    Seconds and fractions are one precision. When only one side has a zone, the other is tried with the earliest and the
    latest zone there is: only if both agree is there an answer.
    """
    first, second = left.parts, right.parts
    if len(first) >= _HOURS and len(second) >= _HOURS:
        if left.offset is not None and right.offset is not None:
            first, second = _shifted(first, left.offset), _shifted(second, right.offset)
        elif left.offset is not None or right.offset is not None:
            return _compare_unzoned(left, right)
    return _compare_parts(first, second)


def _compare_unzoned(left: Temporal, right: Temporal) -> int | None:
    answers = {
        _compare_parts(
            _shifted(left.parts, zone if left.offset is None else left.offset),
            _shifted(right.parts, zone if right.offset is None else right.offset),
        )
        for zone in (_EARLIEST_ZONE, _LATEST_ZONE)
    }
    return answers.pop() if len(answers) == 1 else None


def _compare_parts(left: tuple[Part, ...], right: tuple[Part, ...]) -> int | None:
    for first, second in zip(left, right, strict=False):
        if first != second:
            return -1 if first < second else 1
    return 0 if len(left) == len(right) else None


def identity(value: Temporal) -> tuple[object, ...]:
    """Return a key that is the same for two values exactly if they are equal."""
    zoned = value.offset is not None and len(value.parts) >= _HOURS
    parts = _shifted(value.parts, value.offset or 0) if zoned else value.parts
    return ("time" if value.kind == TIME else "date", zoned, parts)


def add(value: Temporal, amount: int, unit: str) -> Temporal | None:
    """Return the value moved by whole calendar units (a time by CLOCK_UNITS), or None where the calendar ends.

    A unit finer than the value is first reduced to the value's precision: a year and 24 months make two years later.
    The last day of a month stays inside the month it comes to.
    """
    parts = list(value.parts)
    if value.kind == TIME:
        return _add_time(value, amount, unit)
    if unit in ("year", "month"):
        months = amount * 12 if unit == "year" else amount
        return _add_months(value, months)
    unit, amount = ("day", amount * 7) if unit == "week" else (unit, amount)
    if len(parts) < 3:
        days = int(amount / Decimal(_DAYS_IN[unit]))
        return _add_months(value, int(days / 30) if len(parts) == 2 else int(days / 365) * 12)
    precise = [*parts, 0, 0, 0][:6]
    moved = _move(precise, _microseconds(amount, unit))
    return None if moved is None else _with(value, moved[: len(parts)])


_DAYS_IN = {"day": 1, "hour": 24, "minute": 1440, "second": 86_400, "millisecond": 86_400_000}


def _add_months(value: Temporal, months: int) -> Temporal | None:
    parts = list(value.parts)
    if len(parts) == 1:
        months = int(months / 12) * 12
    total = int(parts[0]) * 12 + (int(parts[1]) - 1 if len(parts) > 1 else 0) + months
    year, month = divmod(total, 12)
    if not 1 <= year <= 9999:
        return None
    moved: list[Part] = [year, month + 1, *parts[2:]]
    if len(parts) > 2:
        moved[2] = min(int(parts[2]), calendar.monthrange(year, month + 1)[1])
    return _with(value, moved[: len(parts)])


def _add_time(value: Temporal, amount: int, unit: str) -> Temporal | None:
    """Move a time of day, which wraps at midnight."""
    parts = [2000, 1, 1, *value.parts, 0, 0][:6]
    moved = _move(parts, _microseconds(amount, unit) % 86_400_000_000)
    return None if moved is None else _with(value, moved[3 : 3 + len(value.parts)])


def _microseconds(amount: int, unit: str) -> int:
    return amount * 86_400_000_000 // _DAYS_IN[unit]


def _move(parts: list[Part], microseconds: int) -> list[Part] | None:
    year, month, day, hour, minute, second = parts
    whole = int(second)
    fraction = second - whole
    try:
        start = datetime(int(year), int(month), int(day), int(hour), int(minute), whole)  # noqa: DTZ001 the zone is kept apart
        moved = start + timedelta(microseconds=microseconds + int(fraction * 1_000_000))
    except (ValueError, OverflowError):
        return None
    seconds: Part = moved.second
    if isinstance(second, Decimal) or moved.microsecond:
        digits = max(3 if moved.microsecond else 0, _digits(second))
        seconds = (Decimal(moved.second) + Decimal(moved.microsecond) / 1_000_000).quantize(Decimal(1).scaleb(-digits))
    return [moved.year, moved.month, moved.day, moved.hour, moved.minute, seconds]


def _digits(second: Part) -> int:
    exponent = second.as_tuple().exponent if isinstance(second, Decimal) else 0
    return -exponent if isinstance(exponent, int) else 0


def _with(value: Temporal, parts: list[Part]) -> Temporal:
    return Temporal(value.kind, tuple(parts), value.offset, value.zone)


def text(value: Temporal) -> str:
    """Return the value as FHIR writes it."""
    fields = _FIELDS[value.kind]
    written = dict(zip(fields, map(_padded, fields, value.parts), strict=False))
    day = "-".join(written[name] for name in fields[:3] if name in written) if value.kind != TIME else ""
    clock = ":".join(written[name] for name in ("hour", "minute", "second") if name in written)
    if value.kind == TIME:
        return clock
    return f"{day}T{clock}{value.zone}" if clock else day


def _padded(field: str, part: Part) -> str:
    if field == "year":
        return f"{part:04}"
    whole, dot, fraction = str(part).partition(".")
    return whole.zfill(2) + dot + fraction


def _shifted(parts: tuple[Part, ...], offset: int) -> tuple[Part, ...]:
    """Return the parts in UTC, given the offset they were written with."""
    year, month, day, hour, minute, second = (*parts, 0, 0)[:6]
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute))  # noqa: DTZ001 the zone is kept apart
        moved = local - timedelta(minutes=offset)
    except (ValueError, OverflowError):
        return parts
    return (moved.year, moved.month, moved.day, moved.hour, moved.minute, second)[: len(parts)]


def _minutes(zone: str) -> int | None:
    if not zone:
        return None
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def _is_in_range(field: str, value: Part, before: list[Part]) -> bool:
    if field == "day":
        return 1 <= value <= calendar.monthrange(int(before[0]), int(before[1]))[1]
    if field == "second":
        return 0 <= value < 61  # a leap second is a second
    low, high = _LIMITS[field]
    return low <= value <= high
