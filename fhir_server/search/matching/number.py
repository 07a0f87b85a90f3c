"""Numbers: a search value has the precision it is written with. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from fhir_server.fhir.dates import PREFIXES
from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked
from fhir_server.search.query import Filter, unescape

WANTED = "a number such as 5.4, lt60 or ge1e2"
# Far outside of what a double can hold, and within what Decimal can calculate with.
MOST_DIGITS = 1000

_NUMBER = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?)([eE][+-]?[0-9]{1,4})?")
# Every digit counts: with the usual 28 a longer number would not equal itself.
_EXACT = Context(prec=3 * MOST_DIGITS)

# An end that is None is open.
Interval = tuple[Decimal | Fraction | None, Decimal | Fraction | None]
Comparison = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class NumberAsked:
    """A parsed number. For `eq` and `ne` [low, high) is what it covers, for `ap` [low, high] is a tenth to each side.

    For the other prefixes both ends are the number itself, which is exact then.
    """

    prefix: str
    value: Decimal
    low: Decimal
    high: Decimal


def asked_number(text: str) -> NumberAsked:
    """Return the number of a search value, still escaped. Raises ValueError with what was wanted.

    The interval is half of the last digit to each side: `100` is [99.5, 100.5). A number with an exponent and no
    fraction has one digit more, for the specification has `1e2` cover [95, 105).
    """
    text = unescape(text)
    prefix = text[:2] if text[:2] in PREFIXES else ""
    plain = text[len(prefix) :]
    value = plain_number(plain)
    half = Decimal(0)
    if prefix in ("", "eq", "ne"):
        half = Decimal(5).scaleb(_last_digit(plain) - 1)
    elif prefix == "ap":
        half = _EXACT.scaleb(value.copy_abs(), -1)
    return NumberAsked(prefix or "eq", value, _EXACT.subtract(value, half), _EXACT.add(value, half))


def plain_number(text: str) -> Decimal:
    """Return the number of a text without a prefix. Raises ValueError, also for one of thousands of digits."""
    if len(text) > MOST_DIGITS or _NUMBER.fullmatch(text) is None:
        raise ValueError(WANTED)
    value = Decimal(text)
    if value.adjusted() > MOST_DIGITS or int(value.as_tuple().exponent) < -MOST_DIGITS:
        raise ValueError(WANTED)
    return value


def _last_digit(text: str) -> int:
    """Return the power of ten of the last digit that counts."""
    head, _, exponent = text.lower().partition("e")
    fraction = len(head.partition(".")[2])
    return int(exponent) - max(fraction, 1) if exponent else -fraction


def comparison(prefix: str, value: Any, low: Any, high: Any) -> Comparison:
    """Return the test of a value's interval, of which a point has both ends the same and an open end is None.

    `value`, `low` and `high` are those of the search; they are Decimals, or Fractions in base units.
    """

    def within(least: Any, most: Any) -> bool:
        return least is not None and most is not None and low <= least and most < high

    def outside(least: Any, most: Any) -> bool:
        return not within(least, most)

    def above(least: Any, most: Any) -> bool:
        return most is None or most > value

    def below(least: Any, most: Any) -> bool:
        return least is None or least < value

    def at_least(least: Any, most: Any) -> bool:
        return most is None or most >= value

    def at_most(least: Any, most: Any) -> bool:
        return least is None or least <= value

    def after(least: Any, most: Any) -> bool:
        return least is not None and least > value

    def before(least: Any, most: Any) -> bool:
        return most is not None and most < value

    def near(least: Any, most: Any) -> bool:
        return (least is None or least <= high) and (most is None or most >= low)

    return {
        "eq": within,
        "ne": outside,
        "gt": above,
        "lt": below,
        "ge": at_least,
        "le": at_most,
        "sa": after,
        "eb": before,
        "ap": near,
    }[prefix]


def decimal(value: Any) -> Decimal | None:
    """Return a JSON number as a Decimal, anything else as None."""
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if type(value) is int else None


def intervals(value: Any, type_name: str) -> Iterator[Interval]:
    """Yield the interval of an element: a number is a point, a Range reaches from low to high."""
    number = decimal(value)
    if number is not None:
        yield number, number
    elif type_name == "Range" and type(value) is dict:
        low, high = (decimal(value.get(end, {}).get("value")) for end in ("low", "high"))
        if low is not None or high is not None:
            yield low, high


def number_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a number filter. Raises InvalidRequest."""
    wanted = [asked(one, asked_number, value) for value in one.values]
    holds = [comparison(a.prefix, a.value, a.low, a.high) for a in wanted]

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(
            hold(low, high) for node in nodes for low, high in intervals(node.value, node.type) for hold in holds
        )

    return test
