"""A concept map applied to a code. https://hl7.org/fhir/R4/conceptmap.html"""

from __future__ import annotations

from typing import Any

import pytest

from terminology.translating import Match, translate

Json = dict[str, Any]
FROM, TO = "http://from.org", "http://to.org"


def one(unmapped: Json | None = None, **changes: Any) -> Json:
    target = {"code": "b", "display": "B", "equivalence": "wider"}
    group: Json = {"source": FROM, "target": TO, "element": [{"code": "a", "target": [target]}, {"code": "none"}]}
    if unmapped:
        group["unmapped"] = unmapped
    return {"resourceType": "ConceptMap", "group": [{**group, **changes}]}


def test_a_code_has_the_targets_the_map_gives() -> None:
    assert list(translate(one(), FROM, "a", "")) == [Match("wider", TO, "b", "B")]
    assert list(translate(one(), "", "a", TO)) == [Match("wider", TO, "b", "B")]


@pytest.mark.parametrize(("system", "code", "target"), [(FROM, "x", ""), ("http://x.org", "a", ""), (FROM, "a", FROM)])
def test_what_the_map_does_not_say_is_not_answered(system: str, code: str, target: str) -> None:
    assert list(translate(one(), system, code, target)) == []


@pytest.mark.parametrize(
    ("unmapped", "expected"),
    [
        ({"mode": "provided"}, Match("equal", FROM, "x")),
        ({"mode": "fixed", "code": "z", "display": "Z"}, Match("inexact", TO, "z", "Z")),
        ({"mode": "other-map", "url": "http://other"}, Match("relatedto", other_map="http://other")),
    ],
)
def test_codes_that_are_not_mapped_follow_the_rule_for_them(unmapped: Json, expected: Match) -> None:
    assert list(translate(one(unmapped), FROM, "x", "")) == [expected]
    assert list(translate(one(unmapped), FROM, "none", "")) == []
    assert list(translate(one(unmapped), TO, "x", "", is_reverse=True)) == []


def test_a_map_is_read_backwards_with_its_meaning_turned() -> None:
    assert list(translate(one(), TO, "b", FROM, is_reverse=True)) == [Match("narrower", FROM, "a")]
    assert list(translate(one(), FROM, "a", "", is_reverse=True)) == []


def test_products_come_along() -> None:
    product = {"property": "http://side", "system": "http://sides.org", "value": "left"}
    target = {"code": "b", "equivalence": "equal", "product": [product]}
    found = list(translate(one(element=[{"code": "a", "target": [target]}]), FROM, "a", ""))
    assert found[0].products == ({"element": "http://side", "system": "http://sides.org", "code": "left"},)
