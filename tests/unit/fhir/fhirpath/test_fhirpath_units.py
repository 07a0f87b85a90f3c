"""UCUM codes and calendar words. https://ucum.org/ucum"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from fhir_server.fhir.fhirpath.units import canonical, convert, product, unit


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("1", "g", "mg", "1000"),
        ("1", "[lb_av]", "kg", "0.45359237"),
        ("100", "Cel", "[degF]", "212.0000000000000000000000000"),
        ("37", "Cel", "K", "310.15"),
        ("120", "mm[Hg]", "kPa", "15.99864"),
        ("5", "mmol/L", "mol/m3", "5"),
        ("1", "10*3/uL", "10*9/L", "1"),
        ("1", "10*-6.m", "um", "1"),
        ("72", "{beats}/min", "/min", "72"),
        ("1", "[iU]/L", "m[iU]/mL", "1"),
        ("1", "kcal", "kJ", "4.184"),
        ("1", "L/min", "mL/s", "16.66666666666666666666666667"),
        ("2", "week", "d", "14"),
        ("1", "year", "months", "12"),
        ("1", "mL/(min.{1.73_m2})", "L/h", "0.06"),
        ("1", "g", "g", "1"),
    ],
)
def test_convert(value: str, source: str, target: str, expected: str) -> None:
    converted = convert(Decimal(value), source, target)
    assert converted is not None
    assert converted == pytest.approx(Decimal(expected), abs=Decimal("1e-24"))


@pytest.mark.parametrize(
    ("source", "target"), [("g", "s"), ("year", "a"), ("potato", "g"), ("g", "potato"), ("%", "m")]
)
def test_what_measures_different_things_is_not_converted(source: str, target: str) -> None:
    assert convert(Decimal(1), source, target) is None


@pytest.mark.parametrize("code", ["", "g g", "g/", "(g", "g)", "m99999", "xg", ".", "kk", "g..s", "k[in_i]", "g{open"])
def test_what_is_not_a_unit(code: str) -> None:
    assert unit(code) is None


def test_canonical_is_the_same_for_equal_quantities() -> None:
    assert canonical(Decimal("1.0"), "kg") == canonical(Decimal(1000), "g") == (Fraction(1000), (("g", 1),))
    assert canonical(Decimal(1), "potato") is None


def test_product() -> None:
    assert product("cm", "m", 1) == (Fraction(1, 100), "m2")
    assert product("g", "L", -1) == (Fraction(1000), "g.m-3")
    assert product("g", "g", -1) == (Fraction(1), "1")
    assert product("Cel", "g", 1) is None
