"""What a check of a code finds: everything that is wrong, each thing in its place, and what cannot be known apart."""

from __future__ import annotations

from typing import Any

import pytest

from terminology.asking import Asked
from terminology.checking import Checker
from terminology.composing import Composer
from terminology.failures import Broken
from terminology.languages import Languages
from terminology.sources import Memory, Sources, VersionRules
from terminology.verdicts import Place, Rules, Verdict
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

NAMES = animals(
    language="en",
    concept=[
        {
            **concept("owl"),
            "designation": [{"language": "de", "value": "Eule"}, {"language": "de-CH", "value": "Uhu"}],
        },
        concept("stone", status="retired"),
        concept("group", notSelectable=True),
    ],
)


async def check(
    coding: Json, *shelf: Json, name: str = "x", kind: str = "coding", rules: Rules | None = None, **more: Any
) -> Verdict:
    sources = Sources(Shelf(*shelf), Memory(), rules=more.pop("versions", VersionRules()))
    found = await Composer(sources).named(SET + name)
    asked = Asked(found, sources, Languages(), {})
    return await Checker(sources, found, rules or Rules(), asked.with_version).check(coding, Place(kind), **more)


def said(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(f.severity, f.kind, f.where) for f in verdict.findings]


def owl(**more: str) -> Json:
    return {"system": ANIMALS, "code": "owl", **more}


ALL = value_set("x", of())


async def test_a_code_that_is_right() -> None:
    verdict = await check(owl(display="OWL"), animals(), ALL)
    assert (verdict.is_right, verdict.display, verdict.version, said(verdict)) == (True, "Owl", "2", [])


async def test_a_code_its_system_lacks_is_wrong_twice() -> None:
    verdict = await check({"system": ANIMALS, "code": "unicorn"}, animals(), ALL)
    assert said(verdict) == [("error", "not-in-vs", "Coding.code"), ("error", "invalid-code", "Coding.code")]


@pytest.mark.parametrize(
    ("kind", "where"), [("code", "code"), ("coding", "Coding.code"), ("concept", "CodeableConcept.coding[0].code")]
)
async def test_places_are_those_of_the_request(kind: str, where: str) -> None:
    verdict = await check(owl(), animals(), value_set("x", of(ANIMALS, "eel")), kind=kind)
    severity, finding = ("information", "this-code-not-in-vs") if kind == "concept" else ("error", "not-in-vs")
    assert said(verdict) == [(severity, finding, where)]


async def test_what_depends_on_content_that_is_not_here_is_not_called_missing() -> None:
    empty = animals(content="not-present", concept=[])
    verdict = await check(owl(), empty, value_set("x", filtered("concept", "is-a", "bird")))
    assert said(verdict) == [("error", "not-found", "Coding.system")]
    assert verdict.holds is None


async def test_a_code_in_other_letters_is_told_the_right_ones() -> None:
    loose = animals(caseSensitive=False)
    verdict = await check({"system": ANIMALS, "code": "OWL"}, loose, ALL)
    assert (verdict.is_right, verdict.normal_code) == (True, "owl")
    assert said(verdict) == [("information", "code-rule", "Coding.code")]
    assert not (await check({"system": ANIMALS, "code": "OWL"}, animals(), ALL)).is_right


async def test_inactive_and_abstract_codes_are_minded_when_asked() -> None:
    verdict = await check({"system": ANIMALS, "code": "stone"}, animals(), ALL)
    assert (verdict.is_right, verdict.is_inactive, verdict.status) == (True, True, "retired")
    assert said(verdict) == [("warning", "code-comment", "Coding")]
    only = await check({"system": ANIMALS, "code": "stone"}, animals(), ALL, rules=Rules(active_only=True))
    assert ("error", "code-rule", "Coding.code") in said(only)
    group = {"system": ANIMALS, "code": "animal"}
    assert (await check(group, animals(), ALL)).is_right
    refused = await check(group, animals(), ALL, rules=Rules(abstract_allowed=False))
    assert said(refused) == [("error", "code-rule", "Coding.code"), ("error", "not-in-vs", "Coding.code")]


@pytest.mark.parametrize(
    ("display", "languages", "finding"),
    [
        ("Owl", "", None),
        ("Eule", "", None),
        ("Eule", "de", None),
        ("Uhu", "de-CH", None),
        ("Owl", "en", None),
        ("Duck", "", "error"),
        ("Eule", "en", "error"),
        ("Owl", "de", "error"),
        ("Owl", "fr", "information"),
        ("Duck", "fr", "error"),
    ],
)
async def test_names_are_checked_in_the_languages_asked_for(display: str, languages: str, finding: str | None) -> None:
    rules = Rules(languages=Languages.parse(languages) if languages else Languages())
    verdict = await check(owl(display=display), NAMES, ALL, rules=rules)
    assert said(verdict) == ([] if finding is None else [(finding, "invalid-display", "Coding.display")])


async def test_a_wrong_name_may_be_only_a_warning() -> None:
    verdict = await check(owl(display="Duck"), NAMES, ALL, rules=Rules(lenient_display=True))
    assert said(verdict) == [("warning", "invalid-display", "Coding.display")]


async def test_the_system_is_found_where_one_value_set_has_it_once() -> None:
    twice = value_set("x", of(ANIMALS, "owl"), of("http://b.org", "owl", "eel"))
    one = await check({"code": "eel"}, animals(), twice, kind="code", infer=True)
    assert one.system == "http://b.org"
    many = await check({"code": "owl"}, animals(), twice, kind="code", infer=True)
    assert said(many) == [("error", "not-in-vs", "code"), ("error", "cannot-infer", "code")]
    assert "multiple matches: [http://b.org, http://example.org/animals]" in many.findings[1].text


async def test_a_system_nobody_knows_is_no_wrong_code() -> None:
    needed = await check(owl(), ALL)
    assert (said(needed), needed.causing_system) == ([("error", "not-found", "Coding.system")], ANIMALS)
    strange = await check({"system": "http://b.org", "code": "b"}, animals(), ALL)
    assert strange.unknown_system == "http://b.org"
    assert said(strange) == [("error", "not-found", "Coding.system"), ("error", "not-in-vs", "Coding.code")]


async def test_a_listed_code_of_an_unknown_system_is_in_the_value_set() -> None:
    for known in ([], [animals(content="not-present", concept=[])]):
        verdict = await check(owl(), *known, value_set("x", of(ANIMALS, "owl")))
        assert (verdict.is_right, said(verdict)) == (True, [("warning", "not-found", "Coding.system")])


async def test_a_code_may_be_in_the_part_of_a_fragment_that_is_not_here() -> None:
    part = animals(content="fragment")
    verdict = await check({"system": ANIMALS, "code": "unicorn"}, part, ALL)
    assert (verdict.is_right, said(verdict)) == (True, [("warning", "invalid-code", "Coding.code")])
    birds = value_set("x", filtered("concept", "is-a", "bird"))
    assert not (await check({"system": ANIMALS, "code": "unicorn"}, part, birds)).is_right


async def test_the_version_a_coding_names_is_the_one_that_counts() -> None:
    old = animals(version="1", concept=[concept("newt")])
    newt = {"system": ANIMALS, "code": "newt", "version": "1"}
    assert (await check(newt, old, animals(), ALL)).is_right
    assert not (await check(owl(version="1"), old, animals(), ALL)).is_right
    pinned = value_set("x", of(ANIMALS, "owl", version="2"))
    other = await check(owl(version="1"), old, animals(), pinned)
    assert ("error", "vs-invalid", "Coding.version") in said(other)
    unknown = await check(owl(version="7"), old, animals(), ALL)
    assert unknown.unknown_system == f"{ANIMALS}|7"
    assert "Valid versions: 1 or 2" in unknown.findings[0].text


async def test_versions_can_be_set_checked_and_forced() -> None:
    old = animals(version="1", concept=[concept("newt")])
    newt = {"system": ANIMALS, "code": "newt"}
    named = f"{ANIMALS}|1"
    assert not (await check(newt, old, animals(), ALL)).is_right
    assert (await check(newt, old, animals(), ALL, versions=VersionRules(default=(named,)))).is_right
    pinned = value_set("x", of(ANIMALS, version="2"))
    assert not (await check(newt, old, animals(), pinned, versions=VersionRules(default=(named,)))).is_right
    assert (await check(newt, old, animals(), pinned, versions=VersionRules(force=(named,)))).is_right
    with pytest.raises(Broken, match="version '2' is not allowed"):
        await check(newt, old, animals(), pinned, versions=VersionRules(check=(named,)))


async def test_a_value_set_that_needs_an_unknown_version_cannot_decide() -> None:
    verdict = await check(owl(), animals(), value_set("x", of(ANIMALS, version="9")))
    assert verdict.causing_system == f"{ANIMALS}|9"
    assert said(verdict) == [("error", "not-found", "Coding.system")]


@pytest.mark.parametrize("text", ["-", "de;q=2", "de;x", "", "de,,en"])
def test_a_wish_for_languages_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Broken, match="Invalid displayLanguage"):
        Languages.parse(text)


def test_languages_are_wished_for_in_order() -> None:
    found = Languages.parse("en;q=0.5, de-CH, fr;q=0, *;q=0")
    assert (found.tags, found.is_strict) == (("de-CH", "en"), True)
    assert [found.rank(tag) for tag in ("de-CH", "en-GB", "de", "fr")] == [0, 1, None, None]
