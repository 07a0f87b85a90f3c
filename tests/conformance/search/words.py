"""_text and _content: words in the narrative and in all of a resource. https://hl7.org/fhir/R4/search.html#text

R4 leaves the language of these searches to the server. Ours: every word must be there, without case and accents; a `*`
after a word makes it the beginning of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from tests.conformance.search.elements import Json, fold

_TAG = re.compile(r"<[^>]*>")
_WORD = re.compile(r"[^\W_]+")
_ASKED = re.compile(r"[^\W_]+\*?")


def in_narrative(resource: Json, asked: str) -> bool:
    """Whether the narrative has the words."""
    return _all_there(asked, _words(_narrative(resource)))


def in_content(resource: Json, asked: str) -> bool:
    """Whether any text of the resource has the words, the narrative's included."""
    return _all_there(asked, {w for text in (*_strings(resource), _narrative(resource)) for w in _words(text)})


def _narrative(resource: Json) -> str:
    return unescape(_TAG.sub(" ", resource.get("text", {}).get("div", "")))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(fold(text)))


def _all_there(asked: str, own: set[str]) -> bool:
    wanted = _ASKED.findall(fold(asked))
    return all(any(w == word or (w[-1] == "*" and word.startswith(w[:-1])) for word in own) for w in wanted)


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for name, value in node.items():
            if name not in ("div", "data"):
                yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
