"""What a stranger sends cannot make the service stumble or work for long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fhir_server.api import TooCostly, Unprocessable
from terminology.codesystem import CodeSystem
from terminology.failures import Broken
from terminology.service import LocalTerminology
from terminology.shapes import MAX_CODINGS, MAX_WORDS, check_words, codings_of, shaped
from terminology.sources import Memory, Sources
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

NARROW = 4.0  # seconds; each of these took minutes or for ever without its limit


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ValueSet", {"compose": "x"}),
        ("ValueSet", {"compose": {"include": [1]}}),
        ("ValueSet", {"compose": {"include": [{"system": 5}]}}),
        ("ValueSet", {"compose": {"include": [{"concept": [{"code": 5}]}]}}),
        ("ValueSet", {"compose": {"include": [{"valueSet": "x"}]}}),
        ("ValueSet", {"compose": {"include": [{"filter": [{"value": True}]}]}}),
        ("ValueSet", {"expansion": {"contains": [{"contains": {}}]}}),
        ("ValueSet", {"expansion": {"total": "x"}}),
        ("ValueSet", {"url": ["x"]}),
        ("ValueSet", {"extension": [1]}),
        ("ValueSet", {"extension": [{"url": "x", "extension": True}]}),
        ("ValueSet", {"compose": None}),
        ("ValueSet", {"contained": [{"resourceType": "ValueSet", "compose": []}]}),
        ("CodeSystem", {"concept": {"code": "a"}}),
        ("CodeSystem", {"concept": [{"code": "a", "designation": ["x"]}]}),
        ("CodeSystem", {"concept": [{"code": "a", "property": {}}]}),
        ("CodeSystem", {"concept": [{"code": "a", "concept": [{"display": 1}]}]}),
        ("CodeSystem", {"version": 1}),
        ("ConceptMap", {"group": [{"element": "x"}]}),
        ("ConceptMap", {"group": [{"element": [{"code": "a", "target": [{"product": {}}]}]}]}),
        ("Coding", {"system": 1}),
        ("Coding", {"code": None}),
        ("CodeableConcept", {"coding": {}}),
        ("CodeableConcept", {"coding": ["x"]}),
    ],
)
def test_what_is_not_well_formed_is_refused(kind: str, value: Json) -> None:
    with pytest.raises(Broken, match=f"The {kind} that was sent is not well-formed"):
        shaped(value, kind)


def test_what_is_well_formed_is_taken_with_members_that_nobody_knows() -> None:
    for given in (animals(versionAlgorithmString="semver"), value_set("x", of(), filtered("food", "=", "mice"))):
        assert shaped(given, given["resourceType"]) is given


@pytest.mark.parametrize(
    "broken",
    [
        {**value_set("x", of()), "compose": None},
        {**value_set("x", of()), "compose": {"extension": "x"}},
        {**value_set("x"), "compose": {"include": [5]}},
        {**value_set("x", of()), "contained": [{"resourceType": "ValueSet", "compose": []}]},
    ],
)
async def test_a_value_set_of_a_package_is_refused_when_it_is_not_well_formed(broken: Json) -> None:
    for library in (Shelf(animals(), broken), Shelf(broken)):
        with pytest.raises(Broken, match="not well-formed"):
            await Sources(library, Memory()).value_set(f"{SET}x")


async def test_a_code_system_and_a_concept_map_of_a_package_are_refused_when_they_are_not_well_formed() -> None:
    map_url = "http://example.org/ConceptMap/x"
    broken = {"resourceType": "ConceptMap", "url": map_url, "group": [{"element": "x"}]}
    sources = Sources(Shelf(animals(concept=[None]), broken), Memory())
    with pytest.raises(Broken, match=f"The CodeSystem {ANIMALS} is not well-formed: .*[$].concept"):
        await sources.code_system(ANIMALS)
    with pytest.raises(Broken, match=f"The ConceptMap {map_url} is not well-formed"):
        await sources.concept_map(map_url)


def test_a_concept_of_endless_codings_is_refused() -> None:
    concept_of = {"coding": [{"system": ANIMALS, "code": "owl"}] * MAX_CODINGS}
    assert codings_of(concept_of) == concept_of["coding"]
    concept_of["coding"].append({})
    with pytest.raises(TooCostly):
        codings_of(concept_of)


def many(count: int) -> Json:
    return animals(concept=[concept(f"c{i}") for i in range(count)])


async def within(shelf: Shelf, *, find: bool = False) -> Any:
    """Expand, or look for one code, and return what went wrong; it must not take long."""
    service, started = LocalTerminology(), time.process_time()
    try:
        if find:
            return await service.contains(shelf, SET + "x", ANIMALS, "nothing")
        return await service.expand(shelf, SET + "x")
    except (TooCostly, Unprocessable) as failure:
        return str(failure)
    finally:
        assert time.process_time() - started < NARROW


async def test_many_filters_over_many_codes_are_too_costly() -> None:
    wide = value_set("x", *(filtered("concept", "is-a", f"c{i}") for i in range(1_500)))
    assert "too much work" in await within(Shelf(many(5_000), wide))


async def test_many_excludes_over_many_codes_are_too_costly() -> None:
    lists = [of(ANIMALS, f"c{i}") for i in range(1_500)]
    assert "too much work" in await within(Shelf(many(5_000), value_set("x", of(), exclude=lists)))


async def test_many_regular_expressions_over_many_codes_are_too_costly() -> None:
    patterns = [filtered("display", "regex", f"(a|b)*c?{i}") for i in range(20)]
    text = await within(Shelf(many(100_000), value_set("x", of(), exclude=patterns)))
    assert "too much work" in text
    one = Shelf(many(100_000), value_set("x", patterns[0]))
    assert await within(one) is not None
    assert "too much work" not in str(await within(one))


def test_a_text_of_endless_words_is_refused() -> None:
    check_words("a " * MAX_WORDS, "A filter")
    with pytest.raises(TooCostly, match="A filter may have 30 words; this has 31"):
        check_words("a " * (MAX_WORDS + 1), "A filter")


async def test_value_sets_that_double_at_each_level_are_too_costly() -> None:
    levels = [value_set(f"l{i}", *({"valueSet": [f"{SET}l{i + 1}"]} for _ in range(4))) for i in range(25)]
    top = value_set("x", {"valueSet": [SET + "l0"]})
    shelf = Shelf(animals(), top, *levels, value_set("l25", of(ANIMALS, "owl")))
    assert "too much work" in await within(shelf)
    assert "too much work" in await within(shelf, find=True)


async def test_too_many_includes_and_too_many_levels_are_refused() -> None:
    assert "more than 2000 includes" in await within(Shelf(value_set("x", *(of(ANIMALS, "a") for _ in range(2_001)))))
    deep = [value_set(f"l{i}", {"valueSet": [f"{SET}l{i + 1}"]}) for i in range(40)]
    assert "more than 30 levels" in await within(Shelf(value_set("x", {"valueSet": [SET + "l0"]}), *deep))


def test_a_flat_system_of_one_parent_is_read_quickly() -> None:
    started = time.process_time()
    system = CodeSystem(animals(concept=[concept("top"), *(concept(f"c{i}", parent="top") for i in range(20_000))]))
    assert len(system.nodes["top"].children) == 20_000
    assert time.process_time() - started < NARROW
