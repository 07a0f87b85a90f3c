"""The port: what value sets hold, what codes subsume, and how what is unknown is told apart."""

from __future__ import annotations

import pytest

from fhir_server.api import NotFound, NotSupported, TooCostly, Unprocessable
from terminology import TERMINOLOGY
from terminology.service import LocalTerminology
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

ALL = "animal bird duck owl fish eel stone"


async def codes(*resources: Json, name: str = "x") -> str:
    expansion = await LocalTerminology().expand(Shelf(*resources), SET + name)
    return " ".join(c.code for c in expansion.concepts)


async def test_a_whole_system_comes_in_its_own_order_with_what_is_known_of_each_code() -> None:
    expansion = await LocalTerminology().expand(Shelf(animals(), value_set("x", of())), SET + "x")
    assert " ".join(c.code for c in expansion.concepts) == ALL
    animal, stone = expansion.concepts[0], expansion.concepts[-1]
    assert (animal.system, animal.display, animal.version, animal.abstract) == (ANIMALS, "Animal", "2", True)
    assert (stone.inactive, animal.inactive) == (True, False)


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (filtered("concept", "is-a", "bird"), "bird duck owl"),
        (filtered("concept", "descendent-of", "bird"), "duck owl"),
        (filtered("concept", "is-not-a", "bird"), "animal fish eel stone"),
        (filtered("concept", "generalizes", "eel"), "animal fish eel"),
        (filtered("concept", "child-of", "animal"), "bird fish"),
        (filtered("concept", "descendent-leaf", "animal"), "duck owl eel"),
        (filtered("concept", "is-a", "nothing"), ""),
        (filtered("concept", "=", "owl"), "owl"),
        (filtered("concept", "in", "owl, eel"), "owl eel"),
        (filtered("concept", "not-in", "owl,eel"), "animal bird duck fish stone"),
        (filtered("code", "regex", "[a-d].*"), "animal bird duck"),
        (filtered("code", "regex", "ow"), ""),
        (filtered("display", "regex", "O.l"), "owl"),
        (filtered("food", "=", "mice"), "owl"),
        (filtered("food", "in", "mice,worms"), "owl eel"),
        (filtered("food", "not-in", "mice"), "animal bird duck fish eel stone"),
        (filtered("food", "exists", "true"), "duck owl eel"),
        (filtered("food", "exists", "false"), "animal bird fish stone"),
        (filtered("food", "regex", "p.*|m.*"), "duck owl"),
        (filtered("flies", "=", "true"), "duck owl"),
        (filtered("parent", "=", "bird"), "duck owl"),
        (filtered("child", "=", "eel"), "fish"),
        (filtered("status", "=", "retired"), "stone"),
        (of(ANIMALS, "owl", "unicorn", "duck"), "owl duck"),
        ({**filtered("concept", "is-a", "bird"), "valueSet": [SET + "mice"]}, "owl"),
        ({"valueSet": [SET + "birds", SET + "mice"]}, "owl"),
    ],
)
async def test_an_include_holds(include: Json, expected: str) -> None:
    birds = value_set("birds", filtered("concept", "is-a", "bird"))
    mice = value_set("mice", filtered("food", "=", "mice"), of(ANIMALS, "eel"))
    shelf = Shelf(animals(), birds, mice, value_set("x", include))
    expansion = await LocalTerminology().expand(shelf, SET + "x")
    assert " ".join(c.code for c in expansion.concepts) == expected
    for code in ALL.split():
        assert await LocalTerminology().contains(shelf, SET + "x", ANIMALS, code) is (code in expected.split())


async def test_includes_are_a_union_without_doubles_and_excludes_are_taken_away() -> None:
    union = value_set(
        "x", of(ANIMALS, "eel", "owl"), filtered("concept", "is-a", "bird"), exclude=[of(ANIMALS, "duck")]
    )
    assert await codes(animals(), union) == "eel owl bird"


async def test_filters_of_one_include_must_all_hold() -> None:
    both = {"system": ANIMALS, "filter": filtered("concept", "is-a", "bird")["filter"]}
    both["filter"] = [*both["filter"], *filtered("food", "=", "mice")["filter"]]
    assert await codes(animals(), value_set("x", both)) == "owl"


async def test_inactive_codes_are_left_out_where_the_value_set_says_so() -> None:
    assert await codes(animals(), value_set("x", of(), compose={"inactive": False})) == ALL.removesuffix(" stone")
    assert await codes(animals(), value_set("x", of(), compose={"inactive": True})) == ALL


async def test_parents_written_as_properties_count_and_a_circle_ends() -> None:
    rows = [concept("a", parent="c"), concept("b", parent="a"), concept("c", parent="b"), concept("d", child="a")]
    shelf = Shelf(animals(concept=rows))
    service = LocalTerminology()
    assert await service.below(shelf, ANIMALS, "a") == {"a", "b", "c"}
    assert await service.above(shelf, ANIMALS, "a") == {"a", "b", "c", "d"}


async def test_below_and_above_reach_through_all_levels() -> None:
    service = LocalTerminology()
    assert await service.below(Shelf(animals()), ANIMALS, "bird") == {"bird", "duck", "owl"}
    assert await service.above(Shelf(animals()), ANIMALS, "owl") == {"owl", "bird", "animal"}
    with pytest.raises(NotFound, match="has no code 'unicorn'"):
        await service.below(Shelf(animals()), ANIMALS, "unicorn")
    with pytest.raises(NotFound, match=r"example.org/animals is not known"):
        await service.above(Shelf(), ANIMALS, "owl")
    with pytest.raises(NotSupported, match="part-of: no code of it subsumes"):
        await service.below(Shelf(animals(hierarchyMeaning="part-of")), ANIMALS, "owl")
    with pytest.raises(NotSupported, match="not-present"):
        await service.below(Shelf(animals(content="not-present", concept=[])), ANIMALS, "owl")


async def test_codes_are_found_in_any_case_where_the_system_does_not_mind() -> None:
    shelf = Shelf(animals(caseSensitive=False), value_set("x", of(ANIMALS, "owl"), filtered("concept", "is-a", "fish")))
    service = LocalTerminology()
    assert [await service.contains(shelf, SET + "x", ANIMALS, c) for c in ("OWL", "Eel", "DUCK")] == [True, True, False]
    shelf.resources[0] = animals()
    assert not await service.contains(shelf, SET + "x", ANIMALS, "OWL")


async def test_a_code_without_a_system_is_looked_for_in_all() -> None:
    shelf = Shelf(animals(), value_set("x", of(ANIMALS, "owl")))
    assert await LocalTerminology().contains(shelf, SET + "x", "", "owl")
    assert not await LocalTerminology().contains(shelf, SET + "x", "http://other.org", "owl")


async def test_the_version_asked_for_is_taken_else_the_latest() -> None:
    versions = {"owl": "1.9", "eel": "1.2", "duck": "1.10"}
    one, two, ten = (value_set("x", of(ANIMALS, code), version=version) for code, version in versions.items())
    assert await codes(animals(), one, ten, two) == "duck"
    assert await codes(animals(), one, ten, two, name="x|1.2") == "eel"
    with pytest.raises(
        NotFound, match=r"ValueSet http://example.org/ValueSet/x\|3 is not known here; there is 1.10, 1.2"
    ):
        await codes(animals(), one, ten, two, name="x|3")
    old = animals(version="1", concept=[concept("newt")])
    assert await codes(animals(), old, value_set("x", of(ANIMALS, version="1"))) == "newt"
    assert await codes(old, animals(), value_set("x", of())) == ALL


async def test_what_is_unknown_is_named() -> None:
    with pytest.raises(NotFound, match=r"ValueSet http://example.org/ValueSet/x is not known"):
        await codes()
    with pytest.raises(NotFound, match=r"ValueSet http://example.org/ValueSet/gone is not known"):
        await codes(value_set("x", {"valueSet": [SET + "gone"]}))
    with pytest.raises(NotFound, match=r"CodeSystem http://example.org/animals is not known"):
        await codes(value_set("x", filtered("concept", "is-a", "bird")))


async def test_codes_that_a_value_set_lists_need_no_code_system() -> None:
    assert await codes(value_set("x", of(ANIMALS, "owl", "eel"))) == "owl eel"
    fragment = animals(content="fragment")
    assert await codes(fragment, value_set("x", of(ANIMALS, "owl", "unicorn"))) == "owl unicorn"


async def test_a_whole_system_without_content_is_told_as_a_system() -> None:
    service = LocalTerminology()
    for known in ([], [animals(content="not-present", concept=[])]):
        shelf = Shelf(*known, value_set("x", of(), of("http://b.org", "b")), value_set("y", {"valueSet": [SET + "x"]}))
        for name in "xy":
            expansion = await service.expand(shelf, SET + name)
            assert expansion.systems == {ANIMALS}
            assert [c.code for c in expansion.concepts] == ["b"]
            assert await service.contains(shelf, SET + name, ANIMALS, "anything")
    less = Shelf(value_set("x", of(), exclude=[of(ANIMALS, "owl")]))
    with pytest.raises(NotFound, match="not known"):
        await service.expand(less, SET + "x")


async def test_a_stored_expansion_serves_where_the_definition_cannot() -> None:
    inner = [{"system": ANIMALS, "code": "owl"}]
    stored = {
        "contains": [{"display": "group", "contains": inner}, {"system": ANIMALS, "code": "eel", "inactive": True}]
    }
    whole = value_set("x", filtered("concept", "is-a", "bird"), expansion=stored)
    assert await codes(whole) == "owl eel"
    assert await codes(animals(), whole) == "bird duck owl"
    alone = {k: v for k, v in whole.items() if k != "compose"}
    assert await codes(animals(), alone) == "owl eel"
    part = {**whole, "expansion": {**stored, "total": 3}}
    with pytest.raises(NotFound, match="animals is not known"):
        await codes(part)


async def test_contained_value_sets_are_imported_by_their_id() -> None:
    inside = {**value_set("i", of(ANIMALS, "owl")), "id": "inside"}
    assert await codes(animals(), value_set("x", {"valueSet": ["#inside"]}, contained=[inside])) == "owl"
    with pytest.raises(NotFound, match="ValueSet #other is not known"):
        await codes(value_set("x", {"valueSet": ["#other"]}, contained=[inside]))


async def test_a_value_set_that_imports_itself_is_refused() -> None:
    x, y = value_set("x", {"valueSet": [SET + "y"]}), value_set("y", of(), exclude=[{"valueSet": [SET + "x"]}])
    with pytest.raises(Unprocessable, match="Cyclic reference"):
        await codes(animals(), x, y)
    with pytest.raises(Unprocessable, match="Cyclic reference"):
        await codes(
            value_set("x", {"valueSet": ["#me"]}, contained=[{**value_set("x", {"valueSet": ["#me"]}), "id": "me"}])
        )


@pytest.mark.parametrize(
    ("include", "failure", "text"),
    [
        ({"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a"}]}, Unprocessable, "has no value"),
        (filtered("food", "is-a", "x"), NotSupported, "filter food is-a"),
        (filtered("colour", "=", "x"), NotSupported, "no property 'colour'"),
        (filtered("code", "regex", "(?=a)"), Unprocessable, "regular expression cannot be used"),
        (filtered("code", "regex", "a" * 1001), Unprocessable, "may have 1000 characters"),
        (filtered("food", "exists", "maybe"), Unprocessable, "true or false"),
        ({}, Unprocessable, "needs a system or a value set"),
    ],
)
async def test_what_cannot_be_understood_is_refused(include: Json, failure: type[Exception], text: str) -> None:
    with pytest.raises(failure, match=text.replace("(", r"\(")):
        await codes(animals(), value_set("x", include))


async def test_a_cruel_regular_expression_takes_no_time() -> None:
    cruel = animals(concept=[concept("a" * 5_000)])
    assert await codes(cruel, value_set("x", filtered("code", "regex", "(a+)+(a*)*b"))) == ""


async def test_past_the_limit_nothing_is_cut_off() -> None:
    shelf = Shelf(animals(), value_set("x", of()))
    assert len((await LocalTerminology().expand(shelf, SET + "x", 7)).concepts) == 7
    with pytest.raises(TooCostly, match="more than 6 codes"):
        await LocalTerminology().expand(shelf, SET + "x", 6)


async def test_what_fhir_defines_itself_is_known_without_loading() -> None:
    gender = await TERMINOLOGY.expand(Shelf(), "http://hl7.org/fhir/ValueSet/administrative-gender")
    assert [(c.code, c.display) for c in gender.concepts] == [
        ("male", "Male"), ("female", "Female"), ("other", "Other"), ("unknown", "Unknown"),
    ]  # fmt: skip
    clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    assert await TERMINOLOGY.below(Shelf(), clinical, "active") == {"active", "recurrence", "relapse"}
    loinc = await TERMINOLOGY.expand(Shelf(), "http://hl7.org/fhir/ValueSet/observation-codes")
    assert (len(loinc.concepts), sorted(loinc.systems)) == (0, ["http://loinc.org"])


async def test_a_resource_of_the_tenant_comes_before_the_one_of_fhir() -> None:
    url = "http://hl7.org/fhir/ValueSet/administrative-gender"
    own = {**value_set("x", of(ANIMALS, "owl")), "url": url, "version": "0.1"}
    expansion = await TERMINOLOGY.expand(Shelf(animals(), own), url)
    assert [c.code for c in expansion.concepts] == ["owl"]
    expansion = await TERMINOLOGY.expand(Shelf(animals(), own), url + "|4.0.1")
    assert len(expansion.concepts) == 4


async def test_a_changed_resource_is_seen_at_once() -> None:
    shelf = Shelf(animals(), value_set("x", of(ANIMALS, "owl")))
    service = LocalTerminology()
    assert await service.contains(shelf, SET + "x", ANIMALS, "owl")
    shelf.resources[1] = value_set("x", of(ANIMALS, "eel"))
    assert not await service.contains(shelf, SET + "x", ANIMALS, "owl")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (ANIMALS + "?fhir_vs", ALL),
        (ANIMALS + "?fhir_vs|2", ALL),
        (ANIMALS + "?fhir_vs=isa/bird", "bird duck owl"),
    ],
)
async def test_a_url_made_of_a_code_systems_is_a_value_set(url: str, expected: str) -> None:
    expansion = await LocalTerminology().expand(Shelf(animals()), url)
    assert " ".join(c.code for c in expansion.concepts) == expected


async def test_all_of_loinc_has_a_name_of_its_own_and_other_queries_have_none() -> None:
    loinc = await LocalTerminology().expand(Shelf(), "http://loinc.org/vs")
    assert (len(loinc.concepts), sorted(loinc.systems)) == (0, ["http://loinc.org"])
    for query in ("?fhir_vs=refset/1", "?fhir_vs=isa/", "?other"):
        with pytest.raises(NotFound, match="ValueSet"):
            await LocalTerminology().expand(Shelf(animals()), ANIMALS + query)


async def test_what_one_include_lacks_another_may_hold() -> None:
    shelf = Shelf(
        animals(),
        value_set("x", filtered("concept", "is-a", "bird"), {**filtered("code", "=", "b"), "system": "http://b.org"}),
    )
    service = LocalTerminology()
    assert await service.contains(shelf, SET + "x", ANIMALS, "owl")
    assert await service.contains(shelf, SET + "x", "", "owl")
    with pytest.raises(NotFound, match=r"http://b\.org is not known"):
        await service.contains(shelf, SET + "x", "http://b.org", "b")


async def test_filters_know_codes_in_any_case_where_the_system_does_not_mind() -> None:
    loose = animals(caseSensitive=False)
    assert await codes(loose, value_set("x", filtered("concept", "is-a", "BIRD"))) == "bird duck owl"
    assert await codes(loose, value_set("x", filtered("concept", "generalizes", "OWL"))) == "animal bird owl"
    assert await codes(animals(), value_set("x", filtered("concept", "is-a", "BIRD"))) == ""
