"""How an element's value answers a parameter: tokens, references, strings, times, numbers, quantities.

https://hl7.org/fhir/R4/search.html#ptypes. Every function takes the plain JSON of an element; a value that has nothing
to search by gives nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir_server.fhir.dates import parse_range

Json = dict[str, Any]

# An open end of a Period, as far as the ordered texts reach.
BEGINNING = -62_135_596_800_000
END = 253_402_300_800_000

CURRENCIES = "urn:iso:std:iso:4217"

NAME_PARTS = ("family", "given", "prefix", "suffix", "text")
ADDRESS_PARTS = ("line", "city", "district", "state", "country", "postalCode", "text")


def tokens(value: Any, type_name: str) -> Iterator[tuple[str, str]]:
    """Yield (system, code) pairs; the system is empty where there is none."""
    if type(value) is str:
        yield "", value
    elif type(value) is bool:
        yield "", "true" if value else "false"
    elif type(value) is dict:
        if type_name == "CodeableConcept":
            for coding in value.get("coding", ()):
                if code := coding.get("code"):
                    yield coding.get("system", ""), code
        elif type_name == "Coding":
            if code := value.get("code"):
                yield value.get("system", ""), code
        elif type_name == "Identifier":
            if text := value.get("value"):
                yield value.get("system", ""), text
        elif type_name == "ContactPoint" and (text := value.get("value")):
            yield "", text
    elif type(value) is int:
        yield "", str(value)


def systems(value: Any, type_name: str) -> Iterator[str]:
    """Yield the systems that a value names, with a code or without."""
    if type(value) is dict:
        if type_name == "CodeableConcept":
            for coding in value.get("coding", ()):
                if system := coding.get("system"):
                    yield system
        elif type_name in ("Coding", "Identifier") and (system := value.get("system")):
            yield system


def texts(value: Any, type_name: str) -> Iterator[str]:
    """Yield the texts of a string-like value: each part of a name or address by itself."""
    if type(value) is str:
        yield value
    elif type(value) is dict:
        if type_name == "HumanName":
            yield from _parts(value, NAME_PARTS)
        elif type_name == "Address":
            yield from _parts(value, ADDRESS_PARTS)
        elif type_name == "CodeableConcept":
            yield from _parts(value, ("text",))
            for coding in value.get("coding", ()):
                yield from _parts(coding, ("display",))
        elif type_name in ("Coding", "Identifier", "Annotation", "Reference"):
            yield from _parts(value, ("display", "text"))


def _parts(value: Json, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        part = value.get(name)
        if type(part) is str:
            yield part
        elif type(part) is list:
            yield from (p for p in part if type(p) is str)


def times(value: Any, type_name: str) -> Iterator[tuple[int, int]]:
    """Yield half-open [low, high) intervals in milliseconds; an open end reaches to the end of time."""
    if type(value) is str:
        try:
            yield parse_range(value)
        except ValueError:
            return
    elif type(value) is dict:
        if type_name == "Period":
            if "start" in value or "end" in value:
                yield _period(value)
        elif type_name == "Timing":
            yield from _outer_limits(value)


def _outer_limits(timing: Json) -> Iterator[tuple[int, int]]:
    """Yield the one interval a schedule is searched by: from its first time to its last, whatever lies between.

    https://hl7.org/fhir/R4/search.html#date
    """
    known = [parse_range(event) for event in timing.get("event", ()) if type(event) is str]
    bounds = timing.get("repeat", {}).get("boundsPeriod")
    if bounds:
        known.append(_period(bounds))
    if known:
        yield min(low for low, _ in known), max(high for _, high in known)


def _period(value: Json) -> tuple[int, int]:
    start, end = value.get("start"), value.get("end")
    return (parse_range(start)[0] if start else BEGINNING, parse_range(end)[1] if end else END)


def numbers(value: Any) -> Iterator[Decimal]:
    """Yield the number, or the ends of a Range."""
    if isinstance(value, Decimal):
        yield value
    elif type(value) is int:
        yield Decimal(value)
    elif type(value) is dict:
        for quantity in _ends(value):
            yield from numbers(quantity.get("value"))


def quantities(value: Any, type_name: str) -> Iterator[tuple[Decimal, str, str]]:
    """Yield (value, system, code) of a Quantity or Money, or of the ends of a Range; the code may be empty."""
    if type(value) is not dict:
        return
    if type_name == "Range":
        for quantity in _ends(value):
            yield from quantities(quantity, "Quantity")
        return
    number = value.get("value")
    if isinstance(number, (Decimal, int)):
        if type_name == "Money":
            yield Decimal(number), CURRENCIES, value.get("currency", "")
        else:
            yield Decimal(number), value.get("system", ""), value.get("code", "")


def _ends(value: Json) -> Iterator[Json]:
    yield from (value[end] for end in ("low", "high") if end in value)


def identifier_types(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (type system, type code, value) of an Identifier, for `:of-type`."""
    if type(value) is dict and type(value.get("value")) is str:
        for coding in value.get("type", {}).get("coding", ()):
            if code := coding.get("code"):
                yield coding.get("system", ""), code, value["value"]


def reference_key(reference: str, base_url: str = "") -> str:
    """Return what a literal reference is indexed as: `Type/id` for one of this server, else the URL as it is.

    The version is left out; https://hl7.org/fhir/R4/search.html#reference.
    """
    if base_url and reference.startswith(base_url + "/"):
        reference = reference[len(base_url) + 1 :]
    head, history, _ = reference.partition("/_history/")
    return head if history else reference
