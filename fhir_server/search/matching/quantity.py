"""Quantities: numbers with their units, which convert where both are UCUM. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.units import canonical
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, split
from fhir_server.search.matching.number import NumberAsked, asked_number, comparison, decimal
from fhir_server.search.query import Filter, unescape
from fhir_server.search.units import UCUM
from fhir_server.search.values import CURRENCIES

WANTED = "a number, number|system|code or number||code"


@dataclass(frozen=True, slots=True)
class QuantityAsked:
    """A parsed quantity: `code` is '' where any unit will do, `system` where the code or unit text alone decides."""

    number: NumberAsked
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Held:
    """A quantity of a resource: both ends are the same but for a Range; an open end is None."""

    low: Decimal | None
    high: Decimal | None
    system: str
    code: str
    unit: str


def asked_quantity(text: str) -> QuantityAsked:
    """Return the quantity of a search value, still escaped. Raises ValueError with what was wanted."""
    parts = split(text, "|")
    if len(parts) not in (1, 3) or (len(parts) == 3 and not parts[2]):
        raise ValueError(WANTED)
    try:
        number = asked_number(parts[0])
    except ValueError:
        raise ValueError(WANTED) from None
    return QuantityAsked(number, *map(unescape, parts[1:])) if len(parts) == 3 else QuantityAsked(number, "", "")


def held_quantities(value: Any, type_name: str) -> Iterator[Held]:
    """Yield what a Quantity (or Age, Duration, ...), Money or Range holds."""
    if type(value) is not dict:
        return
    if type_name == "Range":
        low, high = value.get("low", {}), value.get("high", {})
        ends = decimal(low.get("value")), decimal(high.get("value"))
        if ends != (None, None):
            units = low if ends[0] is not None else high
            yield Held(*ends, units.get("system", ""), units.get("code", ""), units.get("unit", ""))
        return
    number = decimal(value.get("value"))
    if number is None:
        return
    if type_name == "Money":
        currency = value.get("currency", "")
        yield Held(number, number, CURRENCIES, currency, currency)
    else:
        yield Held(number, number, value.get("system", ""), value.get("code", ""), value.get("unit", ""))


def quantity_comparison(quantity: QuantityAsked) -> Callable[[Held], bool]:
    """Return the test of what a resource holds."""
    number = quantity.number
    hold = comparison(number.prefix, number.value, number.low, number.high)
    system, code = quantity.system, quantity.code
    if not code:
        return lambda held: hold(held.low, held.high)
    if not system:
        return lambda held: code in (held.code, held.unit) and hold(held.low, held.high)
    in_base_units = _in_base_units(quantity) if system == UCUM else None

    def test(held: Held) -> bool:
        if held.system != system:
            return False
        if held.code == code:
            return hold(held.low, held.high)
        return in_base_units is not None and in_base_units(held)

    return test


def _in_base_units(quantity: QuantityAsked) -> Callable[[Held], bool] | None:
    number = quantity.number
    ends = [canonical(n, quantity.code) for n in (number.value, number.low, number.high)]
    known = [end for end in ends if end is not None]
    if len(known) < 3:
        return None
    dimensions = known[0][1]
    hold = comparison(number.prefix, *(end[0] for end in known))

    def end_of(value: Decimal | None, code: str) -> Fraction | None:
        found = None if value is None else canonical(value, code)
        return found[0] if found else None

    def test(held: Held) -> bool:
        some = held.low if held.low is not None else held.high
        found = canonical(some, held.code) if some is not None else None
        if found is None or found[1] != dimensions:
            return False
        if held.low == held.high:
            return hold(found[0], found[0])
        return hold(end_of(held.low, held.code), end_of(held.high, held.code))

    return test


def quantity_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a quantity filter. Raises InvalidRequest."""
    holds = [quantity_comparison(asked(one, asked_quantity, value)) for value in one.values]

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(hold(held) for node in nodes for held in held_quantities(node.value, node.type) for hold in holds)

    return test
