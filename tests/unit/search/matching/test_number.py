"""Numbers. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.number import NumberAsked, asked_number


def D(text: str) -> Decimal:  # noqa: N802 - reads like the literal it stands for
    return Decimal(text)


@pytest.mark.parametrize(
    ("text", "prefix", "value", "low", "high"),
    [
        ("100", "eq", "100", "99.5", "100.5"),
        ("100.00", "eq", "100", "99.995", "100.005"),
        ("1e2", "eq", "100", "95", "105"),
        ("1.0e2", "eq", "100", "95", "105"),
        ("1.00E2", "eq", "100", "99.5", "100.5"),
        ("5.40e-3", "eq", "0.0054", "0.005395", "0.005405"),
        ("ne1e2", "ne", "100", "95", "105"),
        ("eq0", "eq", "0", "-0.5", "0.5"),
        ("-5", "eq", "-5", "-5.5", "-4.5"),
        ("-0.50", "eq", "-0.5", "-0.505", "-0.495"),
        ("+7", "eq", "7", "6.5", "7.5"),
        ("007", "eq", "7", "6.5", "7.5"),
        ("gt100", "gt", "100", "100", "100"),
        ("lt-1.5", "lt", "-1.5", "-1.5", "-1.5"),
        ("ge1e2", "ge", "100", "100", "100"),
        ("ap100", "ap", "100", "90", "110"),
        ("ap-100", "ap", "-100", "-110", "-90"),
        ("ap0", "ap", "0", "0", "0"),
        ("ap3", "ap", "3", "2.7", "3.3"),
        ("0." + "1" * 40, "eq", "0." + "1" * 40, "0." + "1" * 39 + "05", "0." + "1" * 39 + "15"),
    ],
)
def test_number_values(text: str, prefix: str, value: str, low: str, high: str) -> None:
    assert asked_number(text) == NumberAsked(prefix, D(value), D(low), D(high))


@pytest.mark.parametrize(
    "text",
    ["", "gt", "x", "1.", ".5", "1_0", " 1", "1 ", "1,5", "٣", "NaN", "Infinity", "1e", "e5", "0x1", "GT5", "gtgt5",
     "1e2000", "1e-2000", "1e99999999", "1" * 1001],
)  # fmt: skip
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number such as"):
        asked_number(text)


@pytest.mark.parametrize(
    ("held", "value", "expected"),
    [
        ("99.5", "100", True),
        ("100.49", "100", True),
        ("100.5", "100", False),
        ("99.49", "100", False),
        ("99.5", "ne100", False),
        ("100.5", "ne100", True),
        ("100", "gt100", False),
        ("100.4", "gt100", True),
        ("100", "ge100", True),
        ("99.9", "ge100", False),
        ("99.9", "lt100", True),
        ("100", "lt100", False),
        ("100", "le100", True),
        ("100.1", "le100", False),
        ("100.1", "sa100", True),
        ("100", "sa100", False),
        ("99.9", "eb100", True),
        ("100", "eb100", False),
        ("90", "ap100", True),
        ("110", "ap100", True),
        ("110.1", "ap100", False),
        ("89.9", "ap100", False),
        ("-5.4", "-5", True),
        ("-5.6", "-5", False),
        ("0." + "1" * 40, "0." + "1" * 40, True),
    ],
)
def test_points(matches: Callable[..., bool], held: str, value: str, *, expected: bool) -> None:
    item = {"resourceType": "ChargeItem", "factorOverride": D(held)}
    assert matches(item, "factor-override", value) is expected


@pytest.mark.parametrize(
    ("low", "high", "value", "expected"),
    [
        (0.1, 0.3, "0.2", False),
        ("0.16", "0.24", "0.2", True),
        ("0.16", "0.25", "0.2", False),
        ("0.1", "0.3", "ne0.2", True),
        ("0.1", "0.3", "gt0.2", True),
        ("0.1", "0.3", "gt0.3", False),
        ("0.1", "0.3", "ge0.3", True),
        ("0.1", "0.3", "lt0.1", False),
        ("0.1", "0.3", "le0.1", True),
        ("0.1", "0.3", "sa0.09", True),
        ("0.1", "0.3", "sa0.1", False),
        ("0.1", "0.3", "eb0.31", True),
        ("0.1", "0.3", "eb0.3", False),
        ("0.1", "0.3", "ap0.33", True),
        ("0.1", "0.3", "ap0.40", False),
        ("0.1", None, "gt5000", True),
        ("0.1", None, "lt0.1", False),
        ("0.1", None, "eb9", False),
        (None, "0.3", "lt-5000", True),
        (None, "0.3", "sa-1", False),
        (None, "0.3", "0.2", False),
        (None, "0.3", "ne0.2", True),
        (None, None, "ne0.2", False),
    ],
)
def test_ranges_are_intervals(matches: Callable[..., bool], low: Any, high: Any, value: str, *, expected: bool) -> None:
    ends = {name: {"value": D(str(end))} for name, end in (("low", low), ("high", high)) if end is not None}
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityRange": ends}]}
    assert matches(risk, "probability", value) is expected


def test_one_value_must_hold_by_itself(matches: Callable[..., bool]) -> None:
    risk = {
        "resourceType": "RiskAssessment",
        "prediction": [{"probabilityDecimal": D("0.1")}, {"probabilityDecimal": 1}],
    }
    assert matches(risk, "probability", "1")
    assert matches(risk, "probability", "ne1")
    assert matches(risk, "probability", "7", "lt0.5")
    assert not matches(risk, "probability", "0.5")
    assert not matches({"resourceType": "RiskAssessment"}, "probability", "ne1")


def test_malformed_values_and_modifiers_are_refused(matches: Callable[..., bool]) -> None:
    item = {"resourceType": "ChargeItem", "factorOverride": 1}
    with pytest.raises(InvalidRequest, match="factor-override must be a number") as refused:
        matches(item, "factor-override", "x")
    assert refused.value.issues[0].location == "http.factor-override"
    with pytest.raises(InvalidRequest, match="factor-override:not is not supported"):
        matches(item, "factor-override:not", "1")
