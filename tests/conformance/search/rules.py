"""Whether one value of a resource answers one value of a query: the rules of each parameter type.

https://hl7.org/fhir/R4/search.html. Where R4 leaves a choice to the server, the choice is named in the docstring.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import asin, cos, inf, radians, sin, sqrt
from typing import Any

from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.units import canonical
from tests.conformance.search.defined import BadQuery
from tests.conformance.search.elements import (
    Code,
    Json,
    Measured,
    Number,
    codes,
    fold,
    link,
    names_of_code,
    numbers,
    quantities,
    texts,
    time_of,
    times,
)

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
UCUM = "http://unitsofmeasure.org"
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
EARTH_KM = 6371.0088
KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_us]": 1.609347, "[mi_i]": 1.609344, "mi": 1.609344, "[nmi_i]": 1.852}


@dataclass(frozen=True)
class Asked:
    """One value of a query, still escaped, and what it is asked in: modifier, targets, the implied system, the time."""

    text: str
    modifier: str = ""
    targets: tuple[str, ...] = ()
    system: str = ""
    base_url: str = ""
    now: int = 0

    @property
    def plain(self) -> str:
        """The value without its escapes."""
        return unescape(self.text)


def split(text: str, separator: str) -> list[str]:
    r"""Split at each separator without a backslash before it; `\\` is a backslash, and escapes nothing.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    parts, current, position = [], "", 0
    while position < len(text):
        if text[position] == "\\" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
        elif text[position] == separator:
            parts.append(current)
            current = ""
            position += 1
        else:
            current += text[position]
            position += 1
    return [*parts, current]


def unescape(text: str) -> str:
    r"""Return the text with `\,` `\$` `\|` and `\\` as the characters they stand for."""
    return re.sub(r"\\([,$|\\])", r"\1", text)


def holds(prefix: str, low: Number, high: Number, first: Number, last: Number, *, is_point: bool) -> bool:
    """Whether a value [first, last] is to the search [low, high) what the prefix says.

    https://hl7.org/fhir/R4/search.html#prefix: `eq` the search contains the value, `gt` and `lt` the range above and
    below the search overlaps the value, `sa` and `eb` all of it is past the search. `is_point` says that values are
    numbers (closed at their end), not times.
    """
    contained = low <= first and (last < high if is_point else last <= high)
    return {
        "eq": contained,
        "ne": not contained,
        "gt": last > high,
        "lt": first < low,
        "ge": last > high or contained,
        "le": first < low or contained,
        "sa": first >= high,
        "eb": last <= low,
    }[prefix]


def number_of(text: str) -> tuple[str, Fraction, Fraction]:
    """Return (prefix, number, half of the last digit's unit): 2.0 is from 1.95 to 2.05."""
    prefix, digits = (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)
    if not _NUMBER.fullmatch(digits):
        raise BadQuery(text)
    number = Decimal(digits)
    return prefix, Fraction(number), Fraction(10) ** int(number.as_tuple().exponent) / 2


def compare(prefix: str, number: Number, half: Number, first: Number, last: Number) -> bool:
    """Whether a value is to a number what the prefix says.

    https://hl7.org/fhir/R4/search.html#number: eq and ne know the precision of the number, gt lt ge le sa eb take it as
    exact, ap is within 10 %.
    """
    if prefix in ("eq", "ne"):
        return holds(prefix, number - half, number + half, first, last, is_point=True)
    if prefix == "ap":
        return first <= number + abs(number) / 10 and last >= number - abs(number) / 10
    return {
        "gt": last > number,
        "ge": last >= number,
        "lt": first < number,
        "le": first <= number,
        "sa": first > number,
        "eb": last < number,
    }[prefix]


def number(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#number"""
    prefix, wanted, half = number_of(asked.plain)
    return any(compare(prefix, wanted, half, first, last) for first, last in numbers(node))


def date(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#date

    `ap` is an overlap after widening by the search's own width or a tenth of the time from now, whichever is more.
    """
    text = asked.plain
    prefix, day = (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)
    try:
        low, high = time_of(day)
    except ValueError:
        raise BadQuery(text) from None
    if prefix == "ap":
        fuzz = max(high - low, abs(asked.now - low) // 10)
        return any(first < high + fuzz and last > low - fuzz for first, last in times(node))
    return any(holds(prefix, low, high, first, last, is_point=False) for first, last in times(node))


def string(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#string

    Starts with, without case and accents; `:contains` anywhere; `:exact` to the letter. Each part of a name or address
    is a string of its own. Punctuation counts.
    """
    if asked.modifier == "exact":
        return asked.plain in texts(node)
    wanted = fold(asked.plain)
    if asked.modifier == "contains":
        return any(wanted in fold(own) for own in texts(node))
    return any(fold(own).startswith(wanted) for own in texts(node))


def token(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#token

    Case does not count ("when in doubt, servers SHOULD treat tokens in a case-insensitive manner"). A code element has
    the system its binding implies.
    """
    if asked.modifier == "text":
        return any(fold(own).startswith(fold(asked.plain)) for own in names_of_code(node))
    if asked.modifier == "of-type":
        return _of_type(node, [unescape(p) for p in split(asked.text, "|")])
    parts = [unescape(p) for p in split(asked.text, "|")]
    if len(parts) > 2:
        parts = [parts[0], "|".join(parts[1:])]
    return any(_same_code(own, parts, asked.system) for own in codes(node) if own.code or own.system)


def _same_code(own: Code, parts: list[str], implied: str) -> bool:
    code = parts[-1]
    if code and own.code.casefold() != code.casefold():
        return False
    if len(parts) == 1:
        return bool(own.code)
    if not parts[0]:
        return not own.system
    return own.system == parts[0] or (own.bare and parts[0] == implied)


def _of_type(node: Node, parts: list[str]) -> bool:
    if len(parts) != 3 or not all(parts):
        raise BadQuery("|".join(parts))
    value: Json = node.value if isinstance(node.value, dict) else {}
    return value.get("value", "").casefold() == parts[2].casefold() and any(
        c.get("system") == parts[0] and c.get("code", "").casefold() == parts[1].casefold()
        for c in value.get("type", {}).get("coding", ())
    )


def reference(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#reference and #versions

    A canonical that is asked for without a version matches any version of it.
    """
    value: Any = node.value
    if isinstance(value, str):
        return value == asked.plain or ("|" not in asked.plain and value.partition("|")[0] == asked.plain)
    if not isinstance(value, dict):
        return False
    if asked.modifier == "identifier":
        return "identifier" in value and token(Node(value["identifier"], "Identifier"), Asked(asked.text))
    own, wanted = link(value.get("reference", ""), asked.base_url), link(asked.plain, asked.base_url)
    if own.startswith("#"):  # nothing outside of the resource can mean what is contained in it
        return False
    if asked.modifier:
        return own.startswith(asked.modifier + "/") and own in (wanted, f"{asked.modifier}/{wanted}")
    if _ID.fullmatch(wanted):
        return any(own == f"{target}/{wanted}" for target in asked.targets)
    return own == wanted


def quantity(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#quantity

    Units of UCUM that measure the same are converted ("the search processor may choose").
    """
    parts = [unescape(p) for p in split(asked.text, "|")]
    if len(parts) not in (1, 3):
        raise BadQuery(asked.text)
    prefix, wanted, half = number_of(parts[0])
    system, code = (parts[1], parts[2]) if len(parts) == 3 else ("", "")
    for own in quantities(node):
        if not system and not code and compare(prefix, wanted, half, own.low, own.high):
            return True
        if code and not system and code in (own.code, own.unit) and compare(prefix, wanted, half, own.low, own.high):
            return True
        if system and _in_same_unit(prefix, wanted, half, own, system, code):
            return True
    return False


def _in_same_unit(prefix: str, wanted: Fraction, half: Fraction, own: Measured, system: str, code: str) -> bool:
    if own.system != system:
        return False
    if own.code == code or not code:
        return compare(prefix, wanted, half, own.low, own.high)
    zero, one = _base(Fraction(0), code), _base(Fraction(1), code)
    other = _base(Fraction(0), own.code)
    if system != UCUM or zero is None or one is None or other is None or zero[1] != other[1]:
        return False
    scale = one[0] - zero[0]
    low, high = (_as_base(limit, own.code) for limit in (own.low, own.high))
    if prefix == "ap":  # a tenth of the number as it was asked, not of its distance from an absolute zero
        tenth = abs(wanted) / 10 * scale
        middle = zero[0] + wanted * scale
        return low <= middle + tenth and high >= middle - tenth
    return compare(prefix, zero[0] + wanted * scale, half * scale, low, high)


def _as_base(value: Number, code: str) -> Number:
    if value in (inf, -inf):
        return value
    found = _base(Fraction(value), code)
    assert found is not None
    return found[0]


def _base(value: Fraction, code: str) -> tuple[Fraction, Any] | None:
    """Return the value in base units: the unit table gives a line, of which two points are enough."""
    nothing, one = canonical(Decimal(0), code), canonical(Decimal(1), code)
    if nothing is None or one is None:
        return None
    return nothing[0] + value * (one[0] - nothing[0]), one[1]


def uri(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/search.html#uri

    `:below` and `:above` go by whole path segments. A canonical is found without its version too.
    """
    own, wanted = node.value, asked.plain
    if not isinstance(own, str):
        return False
    if node.type == "canonical" and "|" not in wanted:
        own = own.partition("|")[0]
    if asked.modifier == "below":
        return own == wanted or own.startswith(wanted.rstrip("/") + "/")
    if asked.modifier == "above":
        return own == wanted or wanted.startswith(own.rstrip("/") + "/")
    return own == wanted


def near(node: Node, asked: Asked) -> bool:
    """https://hl7.org/fhir/R4/location.html#search: `[latitude]|[longitude]|[distance]|[units]`, km without units."""
    latitude, longitude, distance, unit, *_ = [*split(asked.text, "|"), "", ""]
    position = node.value
    return (
        _kilometres(float(latitude), float(longitude), float(position["latitude"]), float(position["longitude"]))
        <= float(distance) * KILOMETRES[unit or "km"]
    )


def _kilometres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    a, b = radians(latitude), radians(other_latitude)
    across = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(across))


RULES: dict[str, Callable[[Node, Asked], bool]] = {
    "number": number,
    "date": date,
    "string": string,
    "token": token,
    "reference": reference,
    "quantity": quantity,
    "uri": uri,
    "special": near,
}
