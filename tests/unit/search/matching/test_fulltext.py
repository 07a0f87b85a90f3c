"""Words in narratives and in whole resources. https://hl7.org/fhir/R4/search.html#text"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.api.errors import InvalidRequest
from fhir_server.search.matching.fulltext import asked_words, content, narrative, words

NOTE = {
    "resourceType": "Observation",
    "id": "note-1",
    "text": {
        "status": "generated",
        "div": "<div class='hidden'>Sys<b>tolic</b> &amp; Häma&shy;tom<!-- secret --></div>",
    },
    "code": {"text": "E-mail of Zoë"},
    "note": [{"text": "Diabetes_mellitus type 2"}],
    "extension": [{"url": "http://x", "valueAttachment": {"title": "Scan", "data": "c2VjcmV0"}}],
    "contained": [{"resourceType": "Patient", "name": [{"given": ["Ann", "Eve"]}]}],
    "valueInteger": 42,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Diabetes", (("diabetes", False),)),
        ("diab*  Typ*", (("diab", True), ("typ", True))),
        ("E-Mail", (("e", False), ("mail", False))),
        (r"a\,b", (("a", False), ("b", False))),
        ("ÄRZTE_team", (("arzte", False), ("team", False))),
        ("* heart", (("heart", False),)),
    ],
)
def test_words_asked(text: str, expected: tuple[tuple[str, bool], ...]) -> None:
    assert asked_words(text) == expected


def test_words_of_the_narrative_are_those_between_tags() -> None:
    assert words(narrative(NOTE)) == {"sys", "tolic", "hama", "tom"}
    assert words(narrative({"resourceType": "Patient"})) == set()


def test_words_of_the_content_are_those_of_all_texts_but_attached_data() -> None:
    assert words(content(NOTE)) == {
        *("observation", "note", "1", "generated", "sys", "tolic", "hama", "tom", "e", "mail", "of", "zoe"),
        *("diabetes", "mellitus", "type", "2", "http", "x", "scan", "patient", "ann", "eve"),
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_text", "SYS", True),
        ("_text", "tolic sys", True),
        ("_text", "sy", False),
        ("_text", "sy*", True),
        ("_text", "sys diabetes", False),
        ("_text", "hidden", False),
        ("_text", "secret", False),
        ("_content", "sys diabetes", True),
        ("_content", "diabetes* mellitus", True),
        ("_content", "zoe e-mail", True),
        ("_content", "eve", True),
        ("_content", "c2VjcmV0", False),
        ("_content", "hidden", False),
    ],
)
def test_all_words_must_occur(matches: Callable[..., bool], name: str, value: str, *, expected: bool) -> None:
    assert matches(NOTE, name, value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    assert matches(NOTE, "_text", "x", "tolic")


@pytest.mark.parametrize("value", ["", "*", "...", "_"])
def test_a_value_without_words_is_refused(matches: Callable[..., bool], value: str) -> None:
    with pytest.raises(InvalidRequest, match="_text must be one or more words"):
        matches(NOTE, "_text", value)


@pytest.mark.parametrize("name", ["_text:exact", "_content:missing"])
def test_there_are_no_modifiers(matches: Callable[..., bool], name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} is not supported"):
        matches(NOTE, name, "true")
