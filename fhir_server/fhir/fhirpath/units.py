"""Units of quantities: UCUM codes and calendar durations, compared and converted. https://hl7.org/fhirpath/N1/#time-valued-quantities"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from fhir_server.fhir.fhirpath import ucum
from fhir_server.fhir.fhirpath.ucum import Dimensions, Unit

CALENDAR = {
    word: unit
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for word in (unit, unit + "s")
}
# What a calendar duration is as a UCUM unit where both mean the same length; a year and a month do not.
CALENDAR_CODES = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
CODES_CALENDAR = {code: word for word, code in CALENDAR_CODES.items()} | {"a": "year", "mo": "month"}
_CALENDAR_MONTHS = {
    "year": Unit(Fraction(12), (("calendar month", 1),)),
    "month": Unit(Fraction(1), (("calendar month", 1),)),
}

_PRECISION = 28


def unit(code: str) -> Unit | None:
    """Return what a UCUM code or a calendar word stands for, or None if it is neither.

    Calendar years and months have their own dimension: they are comparable with each other and with no UCUM unit.
    """
    word = CALENDAR.get(code)
    if word in _CALENDAR_MONTHS:
        return _CALENDAR_MONTHS[word]
    try:
        return ucum.read(CALENDAR_CODES[word] if word else code)
    except ucum.UcumError:
        return None


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
    """Return factor and base unit of `left` times (`sign` 1) or divided by (-1) `right`; None for unknown units.

    Levels, pH and other scales that are no ratios have no products.
    """
    first, second = unit(left), unit(right)
    if first is None or second is None or first.offset or second.offset:
        return None
    powers = dict(first.dimensions)
    for base, power in second.dimensions:
        powers[base] = powers.get(base, 0) + sign * power
    base_unit = ucum.written(tuple(sorted((base, power) for base, power in powers.items() if power)))
    return (first.factor * second.factor**sign, base_unit) if ucum.is_unit(base_unit) else None
