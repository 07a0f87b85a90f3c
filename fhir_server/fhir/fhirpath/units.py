"""Units: UCUM codes taken apart to base units, and calendar durations. https://ucum.org/ucum, https://hl7.org/fhirpath/N1/#time-valued-quantities"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

CALENDAR = {
    word: unit
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for word in (unit, unit + "s")
}
# What a calendar duration is as a UCUM unit where both mean the same length; a year and a month do not.
CALENDAR_CODES = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
CODES_CALENDAR = {code: word for word, code in CALENDAR_CODES.items()} | {"a": "year", "mo": "month"}
_CALENDAR_LENGTHS = {"year": Fraction(12), "month": Fraction(1)}

_COMPONENT = re.compile(r"[./()]|\{[^}]*\}|(?:[^./()\[{]|\[[^\]]*\])+")
_POWER = re.compile(r"(10[*^]|(?:[^\d\[+\-]|\[[^\]]*\])+)([+-]?\d+)?")
_MAX_EXPONENT = 64
_PRECISION = 28

Dimensions = tuple[tuple[str, int], ...]


class Unit(msgspec.Struct, frozen=True):
    """A unit as `factor` base units (plus `offset` for temperature scales) of certain dimensions."""

    factor: Fraction
    dimensions: Dimensions
    offset: Fraction = Fraction(0)


class _Tables(msgspec.Struct, frozen=True):
    prefixes: dict[str, str]
    metric: dict[str, tuple[str, str]]
    plain: dict[str, tuple[str, str]]
    offsets: dict[str, str]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    return msgspec.json.decode((files(__package__) / "ucum.json").read_bytes(), type=_Tables)


@lru_cache(maxsize=2048)
def unit(code: str) -> Unit | None:
    """Return what a UCUM code or a calendar word stands for, or None if it is neither.

    Calendar years and months have their own dimension: they are comparable with each other and with no UCUM unit.
    """
    word = CALENDAR.get(code)
    if word in _CALENDAR_LENGTHS:
        return Unit(_CALENDAR_LENGTHS[word], (("calendar month", 1),))
    code = CALENDAR_CODES[word] if word else code
    try:
        factor, dimensions = _Reader(code).read()
    except (ValueError, ZeroDivisionError, KeyError):
        return None
    offset = _tables().offsets.get(code)
    return Unit(factor, _sorted(dimensions), Fraction(offset) if offset else Fraction(0))


def convert(value: Decimal, source: str, target: str) -> Decimal | None:
    """Return the value in another unit, or None when the units do not measure the same."""
    if source == target:
        return value
    first, second = unit(source), unit(target)
    if first is None or second is None or first.dimensions != second.dimensions:
        return None
    return decimal((Fraction(value) * first.factor + first.offset - second.offset) / second.factor)


def canonical(value: Decimal, code: str) -> tuple[Fraction, Dimensions] | None:
    """Return the value in base units, exactly, or None for an unknown unit. Equal quantities have equal answers."""
    known = unit(code)
    return (Fraction(value) * known.factor + known.offset, known.dimensions) if known else None


def decimal(value: Fraction) -> Decimal:
    """Return the fraction to 28 significant digits."""
    with localcontext() as context:
        context.prec = _PRECISION
        return Decimal(value.numerator) / Decimal(value.denominator)


def product(left: str, right: str, sign: int) -> tuple[Fraction, str] | None:
    """Return factor and base unit of `left` times (`sign` 1) or divided by (-1) `right`; None for unknown units."""
    first, second = unit(left), unit(right)
    if first is None or second is None or first.offset or second.offset:
        return None
    powers = dict(first.dimensions)
    for base, power in second.dimensions:
        powers[base] = powers.get(base, 0) + sign * power
    return first.factor * second.factor**sign, _written(_sorted(powers))


def _written(dimensions: Dimensions) -> str:
    return ".".join(base if power == 1 else f"{base}{power}" for base, power in dimensions) or "1"


def _sorted(powers: dict[str, int]) -> Dimensions:
    return tuple(sorted((base, power) for base, power in powers.items() if power))


class _Reader:
    """Reads one code: `main := ['/'] component (('.' | '/') component)*`."""

    def __init__(self, code: str) -> None:
        self._tokens: list[str] = _COMPONENT.findall(code)
        if not code or "".join(self._tokens) != code:
            raise ValueError(code)

    def read(self) -> tuple[Fraction, dict[str, int]]:
        answer = self._term()
        if self._tokens:
            raise ValueError(self._tokens)
        return answer

    def _term(self) -> tuple[Fraction, dict[str, int]]:
        factor, powers = Fraction(1), dict[str, int]()
        sign = 1
        if self._tokens and self._tokens[0] == "/":
            self._tokens.pop(0)
            sign = -1
        while True:
            own, dimensions = self._component()
            factor *= own**sign
            for base, power in dimensions.items():
                powers[base] = powers.get(base, 0) + sign * power
            if not self._tokens or self._tokens[0] not in "./":
                return factor, powers
            sign = -1 if self._tokens.pop(0) == "/" else 1

    def _component(self) -> tuple[Fraction, dict[str, int]]:
        if not self._tokens:
            raise ValueError("ends too early")
        token = self._tokens.pop(0)
        if token == "(":
            answer = self._term()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise ValueError(token)
            return answer
        if token in "./)":
            raise ValueError(token)
        answer = (Fraction(1), {}) if token[0] == "{" else _powered(token)
        while self._tokens and self._tokens[0][0] == "{":
            self._tokens.pop(0)
        return answer


def _powered(token: str) -> tuple[Fraction, dict[str, int]]:
    if token.isdigit():
        return Fraction(int(token)), {}
    match = _POWER.fullmatch(token)
    if match is None:
        raise ValueError(token)
    power = int(match.group(2) or 1)
    if abs(power) > _MAX_EXPONENT:
        raise ValueError(token)
    factor, base = _atom(match.group(1))
    _, dimensions = _base(base)
    return factor**power, {name: own * power for name, own in dimensions.items()}


def _atom(symbol: str) -> tuple[Fraction, str]:
    tables: Any = _tables()
    for table in (tables.plain, tables.metric):
        if symbol in table:
            factor, base = table[symbol]
            return Fraction(factor), base
    for length in (2, 1):
        prefix, rest = symbol[:length], symbol[length:]
        if prefix in tables.prefixes and rest in tables.metric:
            factor, base = tables.metric[rest]
            return Fraction(tables.prefixes[prefix]) * Fraction(factor), base
    raise ValueError(symbol)


def _base(text: str) -> tuple[Fraction, dict[str, int]]:
    """Read the base units of a table row, which are atoms with powers and nothing else."""
    powers: dict[str, int] = {}
    if text != "1":
        for part in text.split("."):
            match = _POWER.fullmatch(part)
            if match is None:
                raise ValueError(part)
            powers[match.group(1)] = int(match.group(2) or 1)
    return Fraction(1), powers
