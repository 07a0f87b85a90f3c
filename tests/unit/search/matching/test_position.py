"""Places near a point. https://hl7.org/fhir/R4/location.html#positional"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.position import NearAsked, asked_near, kilometres

BERLIN = (52.52, 13.405)
PARIS = (48.8566, 2.3522)


def place(latitude: str, longitude: str) -> dict[str, Any]:
    position = {"latitude": Decimal(latitude), "longitude": Decimal(longitude)}
    return {"resourceType": "Location", "position": position}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42.25|-83.69|11.2|km", NearAsked(42.25, -83.69, 11.2)),
        ("42.25|-83.69|11.2", NearAsked(42.25, -83.69, 11.2)),
        ("42.25|-83.69|11.2|", NearAsked(42.25, -83.69, 11.2)),
        ("42.25|-83.69", NearAsked(42.25, -83.69, 50.0)),
        ("42.25|-83.69||mi", NearAsked(42.25, -83.69, 50.0)),
        ("0|0|500|m", NearAsked(0.0, 0.0, 0.5)),
        ("-90|180|0", NearAsked(-90.0, 180.0, 0.0)),
    ],
)
def test_circles(text: str, expected: NearAsked) -> None:
    assert asked_near(text) == expected


@pytest.mark.parametrize(
    ("unit", "length"),
    [("mi", 1.609344), ("[mi_i]", 1.609344), ("[mi_us]", 1.609347219), ("[nmi_i]", 1.852), ("[ft_i]", 0.0003048)],
)
def test_units_of_length(unit: str, length: float) -> None:
    assert asked_near(f"0|0|1|{unit}").kilometres == pytest.approx(length)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1|", "|1", "x|1", "91|0", "-90.1|0", "0|180.5", "0|0|-1", "0|0|x", "0|0|1|kg", "0|0|1|xyz", "0|0|1|km|1",
     "NaN|0", "0|0|1e9|km", "0|0|Infinity", "1e400|0"],
)  # fmt: skip
def test_what_is_no_circle_is_refused(matches: Callable[..., bool], text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"near must be latitude\|longitude\|distance\|units") as refused:
        matches(place("0", "0"), "near", text)
    assert refused.value.issues[0].location == "http.near"


def test_distances_along_a_great_circle() -> None:
    assert kilometres(*BERLIN, *PARIS) == pytest.approx(877.5, abs=1)
    assert kilometres(*BERLIN, *BERLIN) == 0
    assert kilometres(0, 179.9, 0, -179.9) == pytest.approx(22.24, abs=0.01)
    assert kilometres(90, 0, 90, 123) == pytest.approx(0, abs=1e-6)
    assert kilometres(0, 0, 0, 180) == pytest.approx(20015.1, abs=0.1)


@pytest.mark.parametrize(
    ("location", "value", "expected"),
    [
        (place("52.52", "13.405"), "48.8566|2.3522|880", True),
        (place("52.52", "13.405"), "48.8566|2.3522|870", False),
        (place("52.52", "13.405"), "48.8566|2.3522|546|mi", True),
        (place("52.52", "13.405"), "48.8566|2.3522|544|mi", False),
        (place("52.52", "13.405"), "52.4|13.06", True),
        (place("52.52", "13.405"), "53.55|9.99", False),
        (place("0", "-179.9"), "0|179.9|23", True),
        (place("1", "1"), "1|1|0", True),
        ({"resourceType": "Location"}, "0|0|20000", False),
        ({"resourceType": "Location", "position": {"latitude": 1}}, "0|0|20000", False),
    ],
)
def test_near(matches: Callable[..., bool], location: dict[str, Any], value: str, *, expected: bool) -> None:
    assert matches(location, "near", value) is expected


def test_one_of_several_circles_is_enough_and_there_is_no_modifier(matches: Callable[..., bool]) -> None:
    assert matches(place("1", "1"), "near", "50|50|1", "1|1|1")
    with pytest.raises(InvalidRequest, match="near:not is not supported"):
        matches(place("1", "1"), "near:not", "1|1|1")
