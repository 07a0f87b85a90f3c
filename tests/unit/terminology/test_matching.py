"""Which codes have given properties: all, some, nearly."""

from __future__ import annotations

from typing import Any

from terminology.codesystem import CodeSystem
from terminology.matching import Match, Wanted, find_matches
from tests.unit.terminology.shelf import ANIMALS, animals, concept

ZOO = CodeSystem(animals())


def wish(code: str, value: Any = None, *inner: Wanted) -> Wanted:
    return Wanted(code, value, ({"name": "code", "valueCode": code},), inner)


def matches(source: CodeSystem, *wanted: Wanted, is_exact: bool = True) -> list[Match]:
    return list(find_matches(source, source.nodes.values(), wanted, is_exact=is_exact))


def found(*wanted: Wanted, is_exact: bool = True, source: CodeSystem = ZOO) -> str:
    """Return the codes with how many of the wishes each has."""
    return " ".join(f"{m.node.code}:{m.matched}" for m in matches(source, *wanted, is_exact=is_exact))


def test_codes_have_all_or_some_of_the_properties() -> None:
    assert found(wish("food", "mice")) == "owl:1"
    assert found(wish("food", "mice"), wish("flies", True)) == "duck:1 owl:2"
    assert found(wish("food")) == "duck:1 owl:1 eel:1"
    assert found(wish("food", {"system": ANIMALS, "code": "mice"})) == "owl:1"
    assert found(wish("flies", False)) == "eel:1"
    assert found(wish("parent", "bird"), wish("code", "eel")) == "duck:1 owl:1 eel:1"
    assert found(wish("ancestor", "animal"), wish("display", "Owl")) == "bird:1 duck:1 owl:2 fish:1 eel:1"


def test_a_group_counts_where_all_of_it_is_there() -> None:
    group = wish("group", None, wish("food", "mice"), wish("flies", True))
    assert found(group) == "owl:1"
    duck = next(m for m in matches(ZOO, wish("code", "duck"), group) if m.node.code == "duck")
    missing = {"name": "property", "part": [{"name": "code", "valueCode": "food"}]}
    assert duck.unmatched == (({"name": "code", "valueCode": "group"}, missing),)


def test_codes_out_of_use_and_groups_are_found_when_asked_for() -> None:
    assert found(wish("display")) == "bird:1 duck:1 owl:1 fish:1 eel:1"
    assert found(wish("status", "retired")) == "stone:1"
    assert found(wish("inactive", True)) == "stone:1"
    assert found(wish("notSelectable", True)) == "animal:1"


def test_a_status_that_is_a_coding_counts_by_its_code() -> None:
    rows = [{"code": "status", "valueCoding": {"system": "http://example.org/status", "code": "retired"}}]
    source = CodeSystem(animals(concept=[concept("animal"), {**concept("stone"), "property": rows}]))
    assert [source.is_inactive(node) for node in source.nodes.values()] == [False, True]
    assert found(wish("display"), source=source) == "animal:1"


def test_what_is_not_exact_finds_words_letters_wider_and_narrower() -> None:
    assert found(wish("display", "OW")) == ""
    assert found(wish("display", "OW"), is_exact=False) == "owl:1"
    assert found(wish("food", "Mice"), is_exact=False) == "owl:1"
    linked = CodeSystem(animals(concept=[concept("a", concept("b"), concept("c", near="b")), concept("d", near="a")]))
    [match] = [m for m in matches(linked, wish("near", "a"), is_exact=False) if m.node.code == "c"]
    assert match.nearly == ("near is 'b', which is narrower than 'a'",)
    [match] = [m for m in matches(linked, wish("near", "b"), is_exact=False) if m.node.code == "d"]
    assert match.nearly == ("near is 'a', which is wider than 'b'",)


def test_numbers_are_numbers_and_truth_is_truth() -> None:
    rows = [{"code": "n", "property": [{"code": "legs", "valueInteger": 1}, {"code": "wild", "valueBoolean": True}]}]
    source = CodeSystem(animals(concept=rows))
    assert found(wish("legs", 1), source=source) == "n:1"
    assert found(wish("legs", True), source=source) == ""
    assert found(wish("wild", 1), source=source) == ""
    assert found(wish("wild", "true"), source=source) == "n:1"
