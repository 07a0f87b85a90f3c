"""Terms and ordered strings. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.terms import LAST, MAX_STRING, TermHash, fold, ordered_number, ordered_time, range_prefix

YEAR_1 = -62_135_596_800_000
YEAR_10000 = 253_402_300_800_000


def test_a_term_depends_on_the_text_and_the_tenants_key() -> None:
    ours, theirs = TermHash(b"ours" * 8), TermHash(b"theirs" * 5)
    assert ours("Patient.gender\x1ffemale") == ours("Patient.gender\x1ffemale")
    assert TermHash(b"ours" * 8)("a") == ours("a")
    assert len({ours("a"), ours("b"), theirs("a"), theirs("b")}) == 4


def test_a_term_fits_a_64_bit_integer_of_either_sign() -> None:
    terms = [TermHash(b"k")(str(n)) for n in range(200)]
    assert all(-(1 << 63) <= t < 1 << 63 for t in terms)
    assert min(terms) < 0 < max(terms)


@given(st.integers(YEAR_1, YEAR_10000), st.integers(YEAR_1, YEAR_10000))
def test_texts_of_times_sort_as_the_times(one: int, other: int) -> None:
    assert (ordered_time(one) < ordered_time(other)) == (one < other)
    assert len(ordered_time(one)) == 13


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_texts_of_numbers_sort_as_the_numbers(one: float, other: float) -> None:
    if one != other:
        assert (ordered_number(one) < ordered_number(other)) == (one < other)
    assert len(ordered_number(one)) == 16


def test_numbers_of_any_precision_and_size_have_an_order() -> None:
    sizes = [Decimal("-1e400"), Decimal("-5.0"), Decimal("0"), Decimal("1e-300"), Decimal("5.00"), Decimal("1e400")]
    texts = [ordered_number(n) for n in sizes]
    assert texts == sorted(texts)
    assert ordered_number(Decimal("5.0")) == ordered_number(Decimal("5.000")) == ordered_number(5.0)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("MÜLLER", "muller"),
        ("  van   der\tBerg ", "van der berg"),
        ("Straße", "strasse"),
        ("Ångström", "angstrom"),
        ("José", "jose"),  # the accent as a character of its own
        ("Ｆｕｌｌ", "full"),  # full width
        ("𝕬nna", "anna"),  # mathematical
        ("राम", "राम"),
        ("O'Neil-Smith", "o'neil-smith"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_folding_leaves_what_searches_compare(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=10))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_long_texts_are_cut_the_same_way_on_both_sides() -> None:
    assert len(fold("a" * 1000)) == len(fold("ä" * 1000)) == MAX_STRING
    assert fold("ä" * 1000).startswith(fold("ä" * 500))


def test_everything_that_starts_with_a_text_lies_below_its_end() -> None:
    prefix = range_prefix("Patient.family")
    for rest in ("", "a", "zz", "\uffff", "\U0010fffe"):
        assert prefix + "mu" <= prefix + "mu" + rest < prefix + "mu" + LAST
    assert not prefix + "mv" < prefix + "mu" + LAST
    assert len({range_prefix(f"Patient.{n}") for n in range(1000)}) == 1000
