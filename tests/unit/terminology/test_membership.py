"""What validation hears of a coding: it holds, it does not and why, or nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fhir_server.api import Coding, Membership, Unavailable
from terminology import TERMINOLOGY
from terminology.service import LocalTerminology
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, concept, filtered, of, value_set

OTHER = "http://example.org/other"
BIRDS = value_set("x", filtered("concept", "is-a", "bird"))
FEW = value_set("x", of(ANIMALS, "owl", "eel"))
FHIR = "http://hl7.org/fhir/ValueSet/"


async def check(code: str, *shelf: Json, system: str = ANIMALS, name: str = SET + "x", **more: str) -> Membership:
    return await LocalTerminology().check(Shelf(*shelf), Coding(system, code, **more), name)


async def test_what_holds_has_nothing_to_say() -> None:
    assert await check("owl", animals(), BIRDS) == Membership(True)
    assert await check("owl", animals(), BIRDS, display="OWL") == Membership(True)
    assert await check("owl", animals(), BIRDS, version="2") == Membership(True)
    assert await check("owl", animals(), name="") == Membership(True)


class Away(Shelf):
    """A library whose database is away."""

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        raise Unavailable("The database does not answer.")


async def test_a_library_that_cannot_be_read_is_no_reason_for_a_verdict() -> None:
    for name in (SET + "x", ""):
        with pytest.raises(Unavailable):
            await LocalTerminology().check(Away(), Coding(ANIMALS, "owl"), name)


async def test_a_wrong_name_is_told_the_right_one_and_holds() -> None:
    assert await check("owl", animals(), BIRDS, display="Chair") == Membership(True, display="Owl")
    assert await check("owl", animals(), name="", display="Chair") == Membership(True, display="Owl")
    named = animals(concept=[{**concept("owl"), "designation": [{"language": "de", "value": "Eule"}]}])
    assert await check("owl", named, FEW, display="Eule") == Membership(True)


async def test_what_is_not_in_a_short_value_set_is_told_all_that_is() -> None:
    said = await check("duck", animals(), FEW)
    text = f"The code 'duck' of {ANIMALS} is not in the value set {SET}x. Allowed: owl, eel."
    assert said == Membership(False, text)


async def test_a_code_the_system_lacks_is_said_to_be_unknown() -> None:
    said = await check("owll", animals(), value_set("x", of()))
    assert said.holds is False
    assert f"Unknown code 'owll' in the CodeSystem '{ANIMALS}' version '2'." in said.text
    assert (await check("owll", animals(), name="")).text == (
        f"Unknown code 'owll' in the CodeSystem '{ANIMALS}' version '2'."
    )


async def test_of_a_longer_value_set_the_most_similar_code_is_proposed() -> None:
    many = animals(concept=[concept(f"kind-{n}") for n in range(100, 120)])
    assert (await check("KIND-107", many, value_set("x", of()))).text.endswith("Did you mean 'kind-107'?")
    assert (await check("kind-1077", many, value_set("x", of()))).text.endswith("Did you mean 'kind-107'?")
    assert "Did you mean" not in (await check("stone", many, value_set("x", of()))).text


async def test_the_system_that_has_the_code_is_named() -> None:
    said = await check("owl", animals(), FEW, system=OTHER)
    assert said == Membership(False, f"The value set {SET}x has the code 'owl' of {ANIMALS}, not of {OTHER}.")


async def test_codes_in_any_case_where_the_system_does_not_mind() -> None:
    said = await check("OWL", animals(caseSensitive=False), BIRDS)
    assert (said.holds, "differs from the correct code 'owl' by case" in said.text) == (True, True)
    assert (await check("OWL", animals(), BIRDS)).holds is False


async def test_inactive_codes_hold_with_advice_unless_the_value_set_leaves_them_out() -> None:
    said = await check("stone", animals(), value_set("x", of()))
    assert said.holds is True
    assert "its use should be reviewed" in said.text
    assert (await check("stone", animals(), value_set("x", of(), compose={"inactive": False}))).holds is False


async def test_a_code_without_a_system_takes_it_from_the_value_set() -> None:
    assert await check("owl", animals(), FEW, system="") == Membership(True)
    assert (await check("duck", animals(), FEW, system="")).holds is False
    both = value_set("x", of(ANIMALS, "owl"), of(OTHER, "owl"))
    assert (await check("owl", animals(), both, system="")).holds is True
    assert (await check("owl", name="", system="")).holds is None


@pytest.mark.parametrize(
    ("shelf", "text"),
    [
        ([], "The ValueSet http://example.org/ValueSet/x is not known here."),
        ([{**FEW, "compose": {"include": [{"valueSet": [SET + "gone"]}]}}], "gone"),
        ([{k: v for k, v in FEW.items() if k != "compose"}], "does not say what is in it"),
        ([BIRDS], ANIMALS),
        ([BIRDS, animals(content="not-present", concept=[])], "not-present"),
        ([value_set("x", of())], ANIMALS),
        ([value_set("x", of()), animals(content="fragment", concept=[concept("eel")])], "fragment"),
        ([BIRDS, animals(content="fragment", concept=[concept("bird")])], "fragment"),
        ([animals(), value_set("x", filtered("food", "is-a", "x"))], "filter food is-a"),
        ([animals(), value_set("x", {"valueSet": [SET + "x"]})], "Cyclic"),
    ],
)
async def test_what_nobody_can_tell_is_neither_right_nor_wrong(shelf: list[Json], text: str) -> None:
    said = await check("owl", *shelf)
    assert said.holds is None
    assert text in said.text


async def test_a_version_that_is_not_here_leaves_the_question_open() -> None:
    for shelf in ([animals(), BIRDS], [animals(), FEW]):
        said = await check("owl", *shelf, version="9")
        assert said.holds is None
        assert "version '9' could not be found" in said.text
    assert (await check("duck", animals(), FEW, version="9")).holds is False


async def test_what_is_surely_wrong_is_wrong_whether_or_not_its_system_is_here() -> None:
    assert (await check("x", FEW, system="http://loinc.org")).holds is False
    assert (await check("owl", FEW)).holds is True
    assert (await check("duck", FEW)).holds is False
    assert (await check("owl", animals(), FEW, system="animals")).holds is False
    assert (await check("owl", animals(), FEW, system=SET + "x")).holds is False


async def test_its_own_system_is_unknown_or_no_code_system() -> None:
    assert (await check("owl", name="", system=OTHER)).holds is None
    assert (await check("owl", animals(content="fragment", concept=[]), name="")).holds is None
    assert (await check("owl", FEW, name="", system=SET + "x")).holds is False


@pytest.mark.parametrize(
    ("value_set", "system", "code", "holds"),
    [
        ("all-languages", "urn:ietf:bcp:47", "zh-Hant-TW", True),
        ("all-languages", "", "de-CH", True),
        ("all-languages", "urn:ietf:bcp:47", "not a language", False),
        ("mimetypes", "urn:ietf:bcp:13", "text/html; charset=utf-8", True),
        ("mimetypes", "", "application/fhir+json", True),
        ("mimetypes", "", "text", False),
        ("ucum-units", "http://unitsofmeasure.org", "mg/dL", True),
        ("ucum-units", "http://unitsofmeasure.org", "mgs", False),
        ("currencies", "urn:iso:std:iso:4217", "EUR", None),
        ("currencies", "", "Euro", False),
        ("jurisdiction", "urn:iso:std:iso:3166", "CH", True),
        ("jurisdiction", "urn:iso:std:iso:3166", "YY", False),
        ("jurisdiction", "urn:iso:std:iso:3166", "XK", None),
        ("jurisdiction", "urn:iso:std:iso:3166:-2", "US-CA", None),
        ("jurisdiction", "urn:iso:std:iso:3166:-2", "California", False),
        ("observation-codes", "http://loinc.org", "8867-4", None),
        ("administrative-gender", "", "male", True),
        ("administrative-gender", "", "Male", False),
    ],
)
async def test_systems_that_are_a_form(value_set: str, system: str, code: str, holds: bool | None) -> None:
    said = await TERMINOLOGY.check(Shelf(), Coding(system, code), FHIR + value_set)
    assert said.holds is holds, said
    assert bool(said.text) is (holds is not True)
    alone = await TERMINOLOGY.check(Shelf(), Coding(system, code))
    assert alone.holds is (holds if system and system != "http://loinc.org" else None)
