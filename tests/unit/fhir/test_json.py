"""JSON as FHIR wants it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server.fhir.json import MAX_DEPTH, JsonError, decode, encode


def test_decimals_keep_their_digits() -> None:
    value = decode(b'{"a":1.00,"b":0.10e2,"c":12345678901234567890.123}')
    assert value == {"a": Decimal("1.00"), "b": Decimal("0.10e2"), "c": Decimal("12345678901234567890.123")}
    assert encode(value) == b'{"a":1.00,"b":10,"c":12345678901234567890.123}'


@pytest.mark.parametrize(
    "text",
    [
        b"[0.00000001]",
        b'{"a":[{"b":0.0000000}],"c":-0.000000010,"d":"1E-8"}',
        b"[0." + b"0" * 900 + b"1]",
        b"[1E+5,12]",
        b'["E-"]',
        b"[1E-100000]",
    ],
)
def test_small_decimals_are_written_as_they_came(text: bytes) -> None:
    assert encode(decode(text)) == text


def test_a_small_decimal_with_an_exponent_keeps_its_value_and_precision() -> None:
    assert encode(decode(b"[1e-8,2.50E-9,1e5]")) == b"[0.00000001,0.00000000250,1E+5]"


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":1, "b":{"c":[{"d":1,"d":1}]}}',
        b'{"a" :1,"a":2}',
        b'{"a"\n:1,"a" : 2}',
        b'{"a":1,"a":2,"b":"\\u0022:"}',
        b'{"a":1,"a":2,"b":"\\"\\u003a"}',
        b'{"a":1,"a":2,"b":"\\"\\u003A"}',
        b'{"a":1,"\\u0061":2}',
    ],
)
def test_a_member_that_comes_twice_is_refused(text: bytes) -> None:
    with pytest.raises(JsonError, match="appears more than once"):
        decode(text)


@pytest.mark.parametrize(
    "text", [b'{"a":"\\":\\":"}', b'{"a" : 1, "b" : 2}', b'{"a":"\\u0022:","b":1}', b'{"a":{"a":1},"b":[{"a":1}]}']
)
def test_what_only_looks_like_it_is_taken(text: bytes) -> None:
    assert isinstance(decode(text), dict)


@pytest.mark.parametrize("opened", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_ends_at_the_limit(opened: bytes) -> None:
    closed = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]"}[opened]
    levels = MAX_DEPTH // len(closed)
    assert decode(opened * levels + b'"]{"' + closed * levels) is not None
    with pytest.raises(JsonError, match="nested deeper"):
        decode(opened * (levels + 1) + b'"]{"' + closed * (levels + 1))
    with pytest.raises(JsonError, match="nested deeper"):
        decode(opened * 100_000)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"nope", b'{"a":NaN}', b'"\xff"', b"\xef\xbb\xbf{}", b"{} {}", b'{"a":1e}']
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(JsonError):
        decode(text)
