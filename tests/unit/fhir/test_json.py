"""JSON as FHIR wants it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from fhir_server.fhir.json import MAX_DEPTH, JsonError, decode, encode


def test_decimals_keep_their_digits() -> None:
    value = decode(b'{"a":1.00,"b":0.10e2,"c":12345678901234567890.123}')
    assert value == {"a": Decimal("1.00"), "b": Decimal("0.10e2"), "c": Decimal("12345678901234567890.123")}
    assert encode(value) == b'{"a":1.00,"b":0.10e2,"c":12345678901234567890.123}'
    assert encode([Decimal("1.50"), Decimal("1E-22")]) == b"[1.50,1E-22]"


@pytest.mark.parametrize(
    "text",
    [
        b"[0.00000001,0.0000000,-0.000000010]",
        b'{"a":[{"b":0.00000010}],"c":"1E-8"}',
        b"[1E-22,1.0E+5,1e5,1e-8,2.50E-9,1E5,0e0,-1.000000000000000000E+245]",
        b"[0." + b"0" * 900 + b"1,0.0000001e-3]",
        b"[1E-100000]",
        b"[1.0,-0.0,10,0.000001,100000000000000000000.5]",
    ],
)
def test_decimals_are_written_as_they_came(text: bytes) -> None:
    value = decode(text)
    assert encode(value) == text
    assert value == json.loads(text, parse_float=Decimal)


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
