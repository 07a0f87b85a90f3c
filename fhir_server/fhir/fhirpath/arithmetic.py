"""Numbers: 28 digits, 32-bit integers, and empty where the result does not fit. https://hl7.org/fhirpath/N1/#math-2"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

Number = int | Decimal

MAX_INTEGER = 2**31 - 1
MIN_INTEGER = -(2**31)
_MAX_MAGNITUDE = 64  # powers of ten; keeps 1e999999999 from being written out


def context() -> Context:
    """Return the rules of calculation: a new object, because contexts are not to be shared between threads."""
    return Context(prec=28, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])


def is_sane(value: Decimal) -> bool:
    """Whether the number is finite and of a size that can be written out digit by digit."""
    if not value.is_finite():
        return False
    exponent = value.as_tuple().exponent
    return abs(value.adjusted()) <= _MAX_MAGNITUDE and abs(int(exponent)) <= _MAX_MAGNITUDE


def fitting(value: Number) -> Number | None:
    """Return the number, or None where an integer has outgrown 32 bits or a decimal all measure."""
    if isinstance(value, Decimal):
        return value if is_sane(value) else None
    return value if MIN_INTEGER <= value <= MAX_INTEGER else None


def decimals(value: Decimal) -> int:
    """Return how many digits follow the point, trailing zeros not counted."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def rounded_alike(left: Decimal, right: Decimal) -> bool:
    """Whether the numbers are the same when rounded to the fewer digits after the point that either has."""
    digits = min(decimals(left), decimals(right))
    step = Decimal(1).scaleb(-digits)
    rules = context()
    return left.quantize(step, context=rules) == right.quantize(step, context=rules)
