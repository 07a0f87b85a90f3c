"""The units of UCUM: which codes are one, what they measure, and what is said of those that are none. https://ucum.org/ucum"""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.fhirpath.ucum import (
    UcumError,
    atoms,
    canonical_code,
    complaint,
    is_unit,
    near_units,
    read,
    spelled_out,
    version,
)
from fhir_server.fhir.fhirpath.ucum.table import table

UNITS = [
    "m", "/m", "1", "{e}", "/{tot}", "1{c}", "10*3/ul", "10*-3/ul", "10*+3/ul", "10^6/mL", "m[H2O]", "10*23", "rad2",
    "m3.kg-1.s-2", "4.[pi].10*-7.N/A2", "rad2{a}", "{a}.rad2{b}", "%", "dB[10.nV]", "dB[SPL]", "[APL'U]", "u[IU]/mL",
    "umol/2.h", "mmol/(8.h.kg)", "g.m/m2{hb}", "mL/{hb}.m2", "/[arb'U]", "10.L/(min.m2)", "a/m", "[in_i'Hg]", "Kibit",
    "mL/min/{1.73_m2}", "/100{WBC}", "[Amb'a'1'U]", "[m/s2/Hz^(1/2)]", "%[slope]", "mm[Hg]", "mg/dL{two words}", "{}",
    "kcal_IT", "cal_[15]", "dam", "dg", "cd", "mosm/kg", "((m))", "(/s)", "[car_Au]", "daL", "1.5",
    "[NTU]", "[FEU]", "[IR]",
]  # fmt: skip


@pytest.mark.parametrize("code", UNITS)
def test_a_unit(code: str) -> None:
    assert complaint(code) is None
    assert is_unit(code)


@pytest.mark.parametrize(
    ("code", "position"),
    [
        ("", 0), ("m/", 2), ("10+3/ul", 0), ("rad2{\u932b}", 4), ("{a}rad2{b}", 3), ("{|}1", 3), ("iU", 0), ("molv", 0),
        ("[BETH'U]", 0), ("m[iIU]/L", 0), ("g/12h", 2), ("mmol/kg[H20]", 5), ("ug(8.h)", 2), ("ml/hr", 3),
        ("k[in_i]", 0), ("g..s", 2), ("(g", 2), ("g)", 1), ("g{open", 1), ("g}", 1), ("g[open", 1), ("g]", 1),
        (".m", 0), ("()", 1),
        ("0", 0), ("/0", 1), ("m100", 0), ("mm Hg", 0), ("k%", 0), ("dmin", 0), ("{a}{b}", 3),
        ("m{a}{b}", 4), ("{{a}}", 0), ("m**2", 0), ("m^2", 0), ("kg-", 0),
        ("g" * 600, 512), ("Ym15", 0), ("ym15", 0), ("(" * 17 + "m" + ")" * 17, 17),
    ],
)  # fmt: skip
def test_what_is_no_unit_is_told_with_its_place(code: str, position: int) -> None:
    with pytest.raises(UcumError) as failure:
        read(code)
    assert failure.value.position == position
    assert f"(position {position})" in (complaint(code) or "")


def test_every_unit_of_the_table_measures_something() -> None:
    assert version() == "2.2"
    assert len(atoms()) == len(set(atoms())) == 312
    assert [atom for atom in atoms() if read(atom).factor <= 0] == []
    assert [atom for atom in atoms() if not table().name(atom)] == []


def test_every_metric_unit_takes_every_prefix() -> None:
    metric = [atom for atom in atoms() if table().is_metric(atom)]
    assert [prefix + atom for prefix in table().prefixes for atom in metric if not is_unit(prefix + atom)] == []
    assert len(metric) == 96


@pytest.mark.parametrize(
    ("code", "factor", "base"),
    [
        ("kg", Fraction(1000), "g"),
        ("mL", Fraction(1, 10**6), "m3"),
        ("[ft_us]", Fraction(1200, 3937), "m"),
        ("[gal_us]", Fraction(3785411784, 10**12), "m3"),
        ("J", Fraction(1000), "g.m2.s-2"),
        ("S", Fraction(1, 1000), "C2.g-1.m-2.s"),
        ("[ly]", Fraction(9460730472580800), "m"),
        ("m[Hg]", Fraction(133322000), "g.m-1.s-2"),
        ("mol", Fraction(602214076 * 10**15), "1"),
        ("s/m.mg", Fraction(1, 1000), "g.m-1.s"),
        ("s/4/m", Fraction(1, 4), "m-1.s"),
        ("m[iU]/mL", Fraction(1000), "[iU].m-3"),
        ("mm2", Fraction(1, 10**6), "m2"),
        ("m/m", Fraction(1), "1"),
        ("[hp'_C]", Fraction(2), "-lg"),
    ],
)
def test_what_a_unit_measures(code: str, factor: Fraction, base: str) -> None:
    assert read(code).factor == factor
    assert canonical_code(code) == base


@pytest.mark.parametrize(
    ("code", "offset"),
    [("Cel", "273.15"), ("Cel{oral}", "273.15"), ("{oral}.Cel", "273.15"), ("mCel", "273.15"), ("[degRe]", "273.15"),
     ("J/(kg.Cel)", "0"), ("Cel/s", "0"), ("2.Cel", "0"), ("/Cel", "0"), ("Cel2", "0"), ("B[kW]", "3")],
)  # fmt: skip
def test_only_a_scale_that_stands_alone_has_an_offset(code: str, offset: str) -> None:
    assert read(code).offset == Fraction(offset)


def test_arbitrary_units_are_commensurable_with_none_but_themselves() -> None:
    arbitrary = [*table().metric_arbitrary, *table().plain_arbitrary]
    assert [canonical_code(unit) for unit in arbitrary] == arbitrary


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("mg/dL", "(milligram) / (deciliter)"),
        ("mg/dL{x}", "(milligram) / (deciliter) * 1"),
        ("m3.kg-1", "(meter ^ 3) * (kilogram ^ -1)"),
        ("10*23", "(the number ten for arbitrary powers ^ 23)"),
        ("/(8.h)", "/ (8 * (hour))"),
    ],
)
def test_spelled_out(code: str, words: str) -> None:
    assert spelled_out(code) == words


@pytest.mark.parametrize(
    ("symbol", "near"),
    [("mEq", ["meq"]), ("mcg", ["ug"]), ("hr", ["h"]), ("mmHg", ["mm[Hg]"]), ("Tab", ["{tbl}"]), ("12h", ["12.h"]),
     ("KG", ["kg", "kG"]), ("lbs", ["[lb_av]"]), ("IU", ["[IU]", "[iU]"]), ("gal_us", ["[gal_us]"]), ("zzzz", [])],
)  # fmt: skip
def test_what_may_be_meant(symbol: str, near: list[str]) -> None:
    assert near_units(symbol) == near


def test_everything_that_is_meant_is_a_unit() -> None:
    assert [right for right in table().meant.values() if not is_unit(right)] == []
    assert [wrong for wrong in table().meant if wrong != wrong.lower()] == []


def test_a_complaint_tells_place_and_way_out_and_no_novel() -> None:
    assert complaint("ml/hr") == "UCUM has no unit hr (position 3). Did you mean h?"
    assert complaint("x" * 400) == (
        "UCUM has no such unit (position 0). What is counted is written in braces, such as {tablet}."
    )
    assert complaint("g\x1b[31m") == "Not a unit of UCUM (position 2): A bracket is open or closed that has no other."


@pytest.mark.parametrize(
    "code",
    ["Ym99" + ".Ym99" * 100, "10*99" + ".10*99" * 80, "(" * 250 + ")" * 250, "[" * 500, "{" * 500, "9" * 500,
     "1" * 250 + "x" * 250, "m2." * 170, "a[" * 250, "Ym99/ym99" * 50],
)  # fmt: skip
def test_what_is_made_to_cost_is_refused_at_once(code: str) -> None:
    began = time.process_time()
    assert not is_unit(code)
    assert complaint(code)
    assert time.process_time() - began < 0.1


@given(st.text(alphabet="mgsKLdau%[]{}()./0123456789*^+-'_ \u00e9", max_size=40) | st.text())
def test_any_string_gets_an_answer(code: str) -> None:
    assert is_unit(code) == (complaint(code) is None)
    if is_unit(code):
        assert float(read(code).factor) > 0
        assert spelled_out(code)
