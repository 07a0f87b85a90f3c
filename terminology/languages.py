"""Which name of a concept to show: the languages a request prefers, and the names there are.

A preference is written as in the header Accept-Language: https://www.rfc-editor.org/rfc/rfc9110#name-accept-language
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from terminology.failures import Broken
from terminology.valueset import Entry

Json = dict[str, Any]

_TAG = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)")


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a concept in a language, which may be unknown (empty); `designation` where it is one of those."""

    language: str
    value: str
    designation: Json | None = None


@dataclass(frozen=True, slots=True)
class Languages:
    """What a request prefers, best first; `text` as it was written. `is_strict` refuses every other language."""

    text: str = ""
    tags: tuple[str, ...] = ()
    is_strict: bool = False

    def __bool__(self) -> bool:
        return bool(self.tags)

    @classmethod
    def parse(cls, text: str) -> Languages:
        """Return the preference of a text like `de-CH, de;q=0.8, *;q=0`. Raises Broken for anything else."""
        rows = []
        for part in text.split(","):
            tag, *rest = (p.strip() for p in part.split(";"))
            quality = _QUALITY.fullmatch("".join(rest)) if rest else None
            if not _TAG.fullmatch(tag) or (rest and quality is None):
                raise Broken(f"Invalid displayLanguage: '{text}'", reason="language")
            rows.append((float(quality.group(1)) if quality else 1.0, tag))
        rows.sort(key=lambda row: -row[0])
        tags = tuple(tag for quality, tag in rows if quality > 0)
        return cls(text, tags, any(tag == "*" and quality == 0 for quality, tag in rows))

    def rank(self, language: str) -> int | None:
        """Return how well a language is liked, 0 best, or None where it is not wanted at all."""
        low = language.lower()
        for place, tag in enumerate(self.tags):
            if low and (low == tag.lower() or low.startswith(tag.lower() + "-")):
                return place
        return None


def names(entry: Entry) -> list[Name]:
    """Return every name of a concept, the display first."""
    source = str(entry.source.head.get("language", "")) if entry.source is not None else ""
    found = [Name(source, entry.display)] if entry.display else []
    rows = [*entry.listed.get("designation", ()), *(entry.node.designations if entry.node is not None else ())]
    found += [Name(row.get("language", ""), str(row.get("value", "")), row) for row in rows]
    return found


def choose(known: list[Name], languages: Languages) -> Name | None:
    """Return the name to show: the best liked, else the display; None where nothing fits and nothing else may stand.

    A designation in no language is for some special use and is never shown in place of the display.
    """
    display = next((n for n in known if n.designation is None), None)
    ranked = [(place, n) for n in known if (place := languages.rank(n.language)) is not None]
    if ranked:
        return min(ranked, key=lambda row: row[0])[1]
    return None if languages.is_strict and display is not None and display.language else display
