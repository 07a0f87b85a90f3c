"""What an element of a resource says to a search: intervals, texts, codes, links. Written for plainness, not for speed.

https://hl7.org/fhir/R4/search.html#ptypes. Nothing here is shared with the server's own search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import inf
from typing import Any

from fhir_server.fhir.fhirpath import Node

Json = dict[str, Any]
Number = Fraction | float  # a float only where it is infinite
Interval = tuple[Number, Number]

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAME = ("family", "given", "prefix", "suffix", "text")
ADDRESS = ("line", "city", "district", "state", "country", "postalCode", "text")
CURRENCIES = "urn:iso:std:iso:4217"


@dataclass(frozen=True)
class Place:
    """A resource, and the one it is contained in: itself unless it is contained."""

    resource: Json
    container: Json

    @property
    def type(self) -> str:
        """The resource type."""
        return str(self.resource["resourceType"])


def key_of(resource: Json) -> str:
    """Return `Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def fold(text: str) -> str:
    """Return the text without case, accents and runs of space. https://hl7.org/fhir/R4/search.html#string"""
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(text.split())


def time_of(text: str) -> tuple[int, int]:
    """Return the [start, end) in milliseconds that a date of any precision covers; UTC where it has no zone.

    https://hl7.org/fhir/R4/search.html#date. Raises ValueError for other text.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    start = datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
    )
    if zone not in (None, "Z"):
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
        start = start - ahead if zone[0] == "+" else start + ahead
    low = round((start - _EPOCH) / timedelta(milliseconds=1)) + int((fraction or "").ljust(3, "0")[:3])
    if fraction:
        return low, low + 10 ** max(0, 3 - len(fraction))
    if second:
        return low, low + 1000
    if hour:
        return low, low + 60_000
    if day:
        return low, low + 86_400_000
    following = datetime(int(year) + 1, 1, 1, tzinfo=UTC)
    if month:
        following = datetime(int(year) + int(month) // 12, int(month) % 12 + 1, 1, tzinfo=UTC)
    return low, round((following - _EPOCH) / timedelta(milliseconds=1))


def times(node: Node) -> Iterator[tuple[float, float]]:
    """Yield the [start, end) of a date, Period or Timing; of a Timing only the outer limits matter.

    https://hl7.org/fhir/R4/search.html#date: a missing boundary lies before or after any date.
    """
    value = node.value
    if isinstance(value, str):
        yield time_of(value)
    elif isinstance(value, dict) and node.type == "Timing":
        spans: list[tuple[float, float]] = [time_of(event) for event in value.get("event", ()) if event]
        bounds = value.get("repeat", {}).get("boundsPeriod")
        spans += [_period(bounds)] if bounds else []
        if spans:
            yield min(s for s, _ in spans), max(e for _, e in spans)
    elif isinstance(value, dict) and ("start" in value or "end" in value):
        yield _period(value)


def _period(value: Json) -> tuple[float, float]:
    start, end = value.get("start"), value.get("end")
    return (time_of(start)[0] if start else -inf, time_of(end)[1] if end else inf)


def numbers(node: Node) -> Iterator[Interval]:
    """Yield the number as [n, n]; of a Range its limits. https://hl7.org/fhir/R4/search.html#prefix"""
    value = node.value
    if isinstance(value, dict):
        yield _limit(value.get("low"), -inf), _limit(value.get("high"), inf)
    elif value is not None and not isinstance(value, bool | str):
        yield Fraction(value), Fraction(value)


def _limit(quantity: Json | None, default: float) -> Number:
    return Fraction(quantity["value"]) if quantity and "value" in quantity else default


@dataclass(frozen=True)
class Measured:
    """A quantity, or a Range of them: its limits with what they are counted in."""

    low: Number
    high: Number
    system: str
    code: str
    unit: str


def quantities(node: Node) -> Iterator[Measured]:
    """Yield the value of a Quantity, Money or Range. https://hl7.org/fhir/R4/search.html#quantity"""
    value = node.value
    if not isinstance(value, dict):
        return
    if "currency" in value and "value" in value:
        yield Measured(Fraction(value["value"]), Fraction(value["value"]), CURRENCIES, value["currency"], "")
    elif "low" in value or "high" in value:
        named: Json = value.get("low") or value.get("high") or {}
        yield Measured(_limit(value.get("low"), -inf), _limit(value.get("high"), inf), *_unit(named))
    elif "value" in value:
        yield Measured(Fraction(value["value"]), Fraction(value["value"]), *_unit(value))


def _unit(value: Json) -> tuple[str, str, str]:
    return value.get("system", ""), value.get("code", ""), value.get("unit", "")


def texts(node: Node) -> Iterator[str]:
    """Yield the strings of a string, HumanName or Address, each by itself, and what a concept is called."""
    value = node.value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in {"HumanName": NAME, "Address": ADDRESS}.get(node.type, ("text", "display")):
            own = value.get(part)
            yield from [own] if isinstance(own, str) else [t for t in own or () if t]
        for coding in value.get("coding", ()):
            if "display" in coding:
                yield coding["display"]


@dataclass(frozen=True)
class Code:
    """A code or the value of an identifier. A code element has no system of its own: `bare` marks it."""

    system: str
    code: str
    bare: bool = False


def codes(node: Node) -> Iterator[Code]:
    """Yield what a token search compares. https://hl7.org/fhir/R4/search.html#token, the table of data types"""
    value = node.value
    if isinstance(value, bool):
        yield Code("", str(value).lower(), bare=True)
    elif isinstance(value, str | int):
        yield Code("", str(value), bare=True)
    elif isinstance(value, dict):
        if node.type == "CodeableConcept":
            yield from (Code(c.get("system", ""), c.get("code", "")) for c in value.get("coding", ()))
        elif node.type == "ContactPoint":
            yield Code("", value.get("value", ""), bare=True)
        elif node.type in ("Coding", "Identifier"):
            yield Code(value.get("system", ""), value.get("code" if node.type == "Coding" else "value", ""))


def names_of_code(node: Node) -> Iterator[str]:
    """Yield what `:text` searches: CodeableConcept.text, Coding.display, Identifier.type.text; or a plain string."""
    value = node.value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        concept = value.get("type", {}) if node.type == "Identifier" else value
        yield from (t for t in (concept.get("text"), concept.get("display")) if t)
        if node.type == "CodeableConcept":
            yield from (c["display"] for c in concept.get("coding", ()) if "display" in c)


def link(reference: str, base_url: str) -> str:
    """Return a literal reference without this server's own base URL and without the version.

    https://hl7.org/fhir/R4/search.html#reference: a relative reference and the absolute URL of the same match.
    """
    return reference.removeprefix(base_url + "/").partition("/_history/")[0]
