"""Places: how far a Location lies from a point, along a great circle. https://hl7.org/fhir/R4/location.html#positional"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import asin, cos, isfinite, radians, sin, sqrt
from typing import Any

from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.units import convert
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, split
from fhir_server.search.matching.number import decimal, plain_number
from fhir_server.search.query import Filter, unescape

WANTED = "latitude|longitude|distance|units, such as 42.25|-83.69|11.2|km"
# How near is near where the search does not say.
DEFAULT_KILOMETRES = 50.0
EARTH_RADIUS = 6371.0088
MOST_KILOMETRES = 100_000

_WORDS = {"": "km", "mi": "[mi_i]"}


@dataclass(frozen=True, slots=True)
class NearAsked:
    """A circle on the earth, with its centre in degrees."""

    latitude: float
    longitude: float
    kilometres: float


def asked_near(text: str) -> NearAsked:
    """Return the circle of a search value, still escaped. Raises ValueError with what was wanted.

    The distance may be left out (50 km then), and so may its unit (km): a UCUM code of a length, or `mi`.
    """
    parts = [unescape(part) for part in split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise ValueError(WANTED)
    try:
        latitude, longitude = float(plain_number(parts[0])), float(plain_number(parts[1]))
        distance = plain_number(parts[2]) if len(parts) > 2 and parts[2] else None
    except (ValueError, OverflowError):
        raise ValueError(WANTED) from None
    unit = parts[3] if len(parts) == 4 else ""
    kilometres = DEFAULT_KILOMETRES if distance is None else _kilometres(distance, unit)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError(WANTED)
    return NearAsked(latitude, longitude, kilometres)


def _kilometres(distance: Decimal, unit: str) -> float:
    found = convert(distance, _WORDS.get(unit, unit), "km")
    if found is None or not 0 <= found <= MOST_KILOMETRES:
        raise ValueError(WANTED)
    return float(found)


def kilometres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance between two points in degrees (haversine formula, mean radius)."""
    first, second = radians(latitude), radians(other_latitude)
    north, east = sin((second - first) / 2), sin(radians(other_longitude - longitude) / 2)
    share = north * north + cos(first) * cos(second) * east * east
    return 2 * EARTH_RADIUS * asin(min(1.0, sqrt(share)))


def held_position(value: Any) -> tuple[float, float] | None:
    """Return (latitude, longitude) of a Location's position, or None where that is no place on the earth."""
    if type(value) is not dict:
        return None
    latitude, longitude = decimal(value.get("latitude")), decimal(value.get("longitude"))
    if latitude is None or longitude is None:
        return None
    held = float(latitude), float(longitude)
    return held if abs(held[0]) <= 90 and isfinite(held[1]) else None


def position_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of `near`. Raises InvalidRequest."""
    circles = [asked(one, asked_near, value) for value in one.values]

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            held = held_position(node.value)
            if held and any(kilometres(c.latitude, c.longitude, *held) <= c.kilometres for c in circles):
                return True
        return False

    return test
