"""`_text` and `_content`: words of the narrative, or of all the text of a resource.

https://hl7.org/fhir/R4/search.html#text leaves the grammar to the server. Here a value is a list of words, all of which
must occur, in any order; case and accents do not count, and neither does punctuation: `e-mail` is the two words `e` and
`mail`. A `*` at the end of a word stands for any ending (`diab*`). Several values after commas: any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape as unescape_html
from typing import Any

from fhir_server.search.matching.asking import Json, Setting, asked, unsupported
from fhir_server.search.query import Filter, unescape
from fhir_server.search.terms import fold

WANTED = "one or more words; a * may end a word"
# Base64, which is no text; and the narrative's markup, which is read without its tags.
_NOT_TEXT = frozenset({"data"})
_NARRATIVE = "div"

_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r"([^\W_]+)(\*?)")
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)


def asked_words(text: str) -> tuple[tuple[str, bool], ...]:
    """Return (word, whether it is only the beginning of one) of a search value, still escaped. Raises ValueError."""
    found = tuple((word, bool(star)) for word, star in _ASKED.findall(fold(unescape(text))))
    if not found:
        raise ValueError(WANTED)
    return found


def words(texts: Iterator[str]) -> set[str]:
    """Return the words of texts, folded."""
    found: set[str] = set()
    for text in texts:
        found.update(_WORD.findall(fold(text)))
    return found


def narrative(resource: Json) -> Iterator[str]:
    """Yield the text of the narrative without its markup."""
    text = resource.get("text")
    div = text.get(_NARRATIVE) if type(text) is dict else None
    if type(div) is str:
        yield plain(div)


def plain(xhtml: str) -> str:
    """Return the text between the tags; a tag separates words."""
    return unescape_html(_TAG.sub(" ", xhtml))


def content(resource: Json) -> Iterator[str]:
    """Yield every text in a resource, the narrative and contained resources included, but no attached data."""
    waiting: list[Any] = [resource]
    while waiting:
        one = waiting.pop()
        if type(one) is list:
            for item in one:
                if type(item) is str:
                    yield item
                elif type(item) is dict:
                    waiting.append(item)
            continue
        for name, value in one.items():
            if type(value) is str:
                if name not in _NOT_TEXT:
                    yield plain(value) if name == _NARRATIVE else value
            elif type(value) is dict or type(value) is list:
                waiting.append(value)


def fulltext_predicate(one: Filter, setting: Setting) -> Callable[[Json], bool]:
    """Return the predicate of `_text` or `_content`. Raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    read = SOURCES[one.parameter.code]
    wanted = [asked(one, asked_words, value) for value in one.values]

    def test(resource: Json) -> bool:
        found = words(read(resource))
        return any(all(_occurs(word, is_start, found) for word, is_start in each) for each in wanted)

    return test


def _occurs(word: str, is_start: bool, found: set[str]) -> bool:
    return word in found or (is_start and any(other.startswith(word) for other in found))


SOURCES: dict[str, Callable[[Json], Iterator[str]]] = {"_text": narrative, "_content": content}
