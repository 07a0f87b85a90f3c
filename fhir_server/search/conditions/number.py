"""Numbers and quantities in the index. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

from decimal import Decimal
from math import isinf

from fhir_server.api.criteria import Criterion, Range
from fhir_server.search.conditions.condition import Condition, Index, either, present
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.number import NumberAsked, asked_number
from fhir_server.search.matching.quantity import asked_quantity
from fhir_server.search.query import Filter
from fhir_server.search.terms import LAST, SEPARATOR, ordered_number, range_prefix
from fhir_server.search.units import in_index

Value = Decimal | float


def number(one: Filter, index: Index) -> Condition:
    """Return the condition of a number filter; raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    asks = [asked(one, asked_number, value) for value in one.values]
    return either(_compared(one, ask, index, "", ask.value, ask.low, ask.high) for ask in asks)


def quantity(one: Filter, index: Index) -> Condition:
    """Return the condition of a quantity filter; raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    return either(_quantity(one, value, index) for value in one.values)


def _quantity(one: Filter, value: str, index: Index) -> Condition:
    ask = asked(one, asked_quantity, value)
    n = ask.number
    if not ask.code or not ask.system:
        return _compared(one, n, index, "", n.value, n.low, n.high)
    (unit, inside), (_, low), (_, high) = (in_index(v, ask.system, ask.code) for v in (n.value, n.low, n.high))
    return _compared(one, n, index, SEPARATOR + unit, inside, low, high)


def _compared(
    one: Filter, ask: NumberAsked, index: Index, unit: str, value: Value, low: Value, high: Value
) -> Condition:
    """Return the condition of a comparison, which is checked: the index holds doubles, and a Range by its ends."""
    prefix = range_prefix(index.name(one.parameter) + unit)
    first, last = prefix, prefix + LAST

    def above(number: Value) -> str:
        return prefix + ordered_number(_wider(number, -1))

    def below(number: Value) -> str:
        return prefix + ordered_number(_wider(number, 1)) + LAST

    ranges: dict[str, Criterion] = {
        "eq": Range(above(low), below(high)),
        "ne": Range(first, last),
        "gt": Range(above(value), last),
        "sa": Range(above(value), last),
        "ge": Range(above(value), last),
        "lt": Range(first, below(value)),
        "eb": Range(first, below(value)),
        "le": Range(first, below(value)),
        "ap": Range(above(low), below(high)),
    }
    return Condition(ranges[ask.prefix], exact=False)


def _wider(number: Value, sign: int) -> float:
    """Return the number moved a little out of the way of what doubles round."""
    double = float(number)
    if isinf(double):
        return double
    return double + sign * (abs(double) * 1e-12 + (1e-9 if abs(double) > 1 else 0.0))


def with_ranges(one: Filter, index: Index) -> Condition:
    """Return the condition of a parameter that may be a Range, whose open or far ends no bound finds."""
    return Condition(present(one.parameter, index).where, exact=False)
