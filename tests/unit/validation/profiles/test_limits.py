"""Limits that extensions of an ElementDefinition set. https://hl7.org/fhir/R4/elementdefinition-profiles.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.validation.profiles.limits import limit_rules
from fhir_server.validation.profiles.run import Run, TooMuch

CORE = "http://hl7.org/fhir/StructureDefinition/"


class Nothing:
    """Answers that know nothing."""

    def profile(self, canonical: str) -> Any:
        return None

    def resource(self, kind: str, canonical: str) -> Any:
        return None

    member = concept = profile  # not asked


def limit(name: str, **value: Any) -> dict[str, Any]:
    """Return an extension of the core specification."""
    return {"url": CORE + name, **value}


def told(definition: dict[str, Any], value: Any, *above: dict[str, Any]) -> list[str]:
    """Return the codes of what a value breaks."""
    run = Run(Nothing(), {"resourceType": "Basic"})  # type: ignore[arg-type]
    rules = limit_rules(definition, list(above), "Basic.x", "")
    return [row.code for rule in rules for row in rule(value, None, run) or ()]


REGEX = limit("regex", valueString="(a)*")


@pytest.mark.parametrize(
    ("extension", "kept", "broken", "code"),
    [
        (REGEX, ["aaa", "", 7, None, {}], ["ab", "b"], "value"),
        (limit("minLength", valueInteger=3), ["abc", 7, None], ["ab", ""], "value"),
        (limit("maxDecimalPlaces", valueInteger=1), [Decimal("1.5"), 7, "1.25", {"value": Decimal("2.0")}],
         [Decimal("1.25"), Decimal("1.00"), {"value": Decimal("2.25")}], "value"),
        (limit("maxSize", valueDecimal=5), [{"size": 5}, {"data": "AAAAAAA="}, {"url": "x"}, "AAAAAAA=", None],
         [{"size": 6}, {"data": "AAAAAAAA"}, "AAAAAAAA"], "too-long"),
    ],
    ids=lambda value: value["url"].removeprefix(CORE) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_limit(extension: dict[str, Any], kept: list[Any], broken: list[Any], code: str) -> None:
    definition = {"extension": [extension]}
    assert [value for value in kept if told(definition, value)] == []
    assert [told(definition, value) for value in broken] == [[code]] * len(broken)
    on_its_type = {"type": [{"code": "string", "extension": [extension]}]}
    assert told(on_its_type, broken[0]) == [code]
    assert told(definition, broken[0], definition) == []


@pytest.mark.parametrize(
    "extension",
    [
        limit("regex", valueString=r"(a)\1"), limit("regex", valueString="("), limit("regex", valueString=7),
        limit("minLength", valueInteger="x"), limit("maxDecimalPlaces"), limit("maxSize", valueDecimal="x"),
        limit("other", valueInteger=0), {"url": 7}, 7,
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_read_is_not_looked_at(extension: Any) -> None:
    assert told({"extension": [extension], "type": [7]}, "abc") == []


def test_the_work_of_a_regular_expression_is_counted() -> None:
    rules = limit_rules({"extension": [limit("regex", valueString="(x{1,50}){1,10}y")]}, [], "Basic.x", "")
    run = Run(Nothing(), {"resourceType": "Basic"}, max_steps=100_000)  # type: ignore[arg-type]
    with pytest.raises(TooMuch):
        rules[0]("x" * 1_000_000, None, run)
