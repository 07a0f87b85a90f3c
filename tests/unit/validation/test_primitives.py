"""Primitive values: whatever is accepted also matches the expression that the specification gives for the type."""

from __future__ import annotations

import base64
import re
import time
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.definitions import r4
from fhir_server.validation.primitives import MAX_STRING, checkers

CHECKERS = checkers()
TEXT_TYPES = ["code", "date", "dateTime", "id", "instant", "oid", "string", "markdown", "time", "uri", "url", "uuid"]
FORMS = {
    name: re.compile(definition.regex, re.ASCII)
    for name, definition in r4().types.items()
    if definition.kind == "primitive" and definition.regex
}


def accepts(name: str, value: object) -> bool:
    return CHECKERS[name](value, {}, 0, {}) is None


@pytest.mark.parametrize("name", TEXT_TYPES)
def test_what_is_accepted_has_the_form_of_the_specification(name: str) -> None:
    @given(st.from_regex(FORMS[name], fullmatch=True) | st.text())
    def check(value: str) -> None:
        assert not accepts(name, value) or FORMS[name].fullmatch(value)

    check()


@pytest.mark.parametrize("name", ["id", "oid", "time", "uuid"])
def test_everything_of_the_form_of_the_specification_is_accepted(name: str) -> None:
    @given(st.from_regex(FORMS[name], fullmatch=True))
    def check(value: str) -> None:
        assert accepts(name, value)

    check()


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(1, 31))
def test_a_day_is_accepted_exactly_when_the_calendar_has_it(year: int, month: int, day: int) -> None:
    try:
        exists = bool(date(year, month, day))
    except ValueError:
        exists = False
    text = f"{year:04}-{month:02}-{day:02}"

    assert [accepts("date", text), accepts("dateTime", text)] == [exists, exists]
    assert accepts("dateTime", text + "T23:59:60.5-14:00") == exists
    assert accepts("instant", text + "T00:00:00Z") == exists


@given(st.integers(-(2**33), 2**33))
def test_integers_have_their_ranges(value: int) -> None:
    assert accepts("integer", value) == (-(2**31) <= value < 2**31)
    assert accepts("unsignedInt", value) == (0 <= value < 2**31)
    assert accepts("positiveInt", value) == (1 <= value < 2**31)


@given(st.binary(min_size=1), st.sampled_from(["", " ", "\r\n", "\t"]))
def test_base64_of_anything_is_accepted_with_whitespace_between_lines(content: bytes, space: str) -> None:
    text = base64.b64encode(content).decode()

    assert accepts("base64Binary", space.join(text[i : i + 4] for i in range(0, len(text), 4)))


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+400"), Decimal("1E-400"), 10**400])
def test_decimals_nobody_can_compute_with_are_refused(value: object) -> None:
    assert not accepts("decimal", value)


@pytest.mark.parametrize("value", [0, -1, Decimal("0.00"), Decimal("1.5E-10"), Decimal("-" + "9" * 60)])
def test_decimals_keep_any_sensible_number_of_digits(value: object) -> None:
    assert accepts("decimal", value)


def test_a_string_may_have_a_million_characters_and_no_more() -> None:
    assert accepts("string", "x" * MAX_STRING)

    [finding] = CHECKERS["string"]("x" * (MAX_STRING + 1), {}, 0, {}) or []

    assert finding.code == "too-long"


@pytest.mark.parametrize("name", ["string", "markdown"])
def test_text_of_whitespace_is_accepted_and_warned_of(name: str) -> None:
    assert accepts(name, " \t\n")

    [finding] = checkers(advice=True)[name](" \t\n", {}, 0, {}) or []

    assert (finding.severity, finding.code) == ("warning", "value")
    assert checkers(advice=True)[name](" a ", {}, 0, {}) is None


@pytest.mark.parametrize("name", sorted(CHECKERS))
@pytest.mark.parametrize(
    "value", ["a " * 50_000, "A" * 100_001, "1.2" * 50_000, "urn:oid:1" + ".1" * 50_000 + ".", " " * 100_000 + "a"]
)
def test_a_long_value_costs_no_more_than_its_length(name: str, value: str) -> None:
    start = time.perf_counter()
    CHECKERS[name](value, {}, 0, {})

    assert time.perf_counter() - start < 1


def test_messages_never_repeat_the_value() -> None:
    for name, check in CHECKERS.items():
        for finding in check("secret\x00 value", {}, 0, {}) or []:
            assert "secret" not in finding.text, name
