"""A release as its reader gives it: the CodeSystem without concepts, and the concepts one after the other.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_server.api import StoredConcept, Unprocessable

Json = dict[str, Any]


class Found(NamedTuple):
    """One concept and where it stands."""

    file: str
    line: int
    concept: StoredConcept


@dataclass(frozen=True, slots=True)
class Asked:
    """What whoever loads a release says of it. Empty: as the release itself has it.

    `columns` are `role=header` for the format csv.
    """

    system: str = ""
    version: str = ""
    module: str = ""
    languages: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    encoding: str = ""

    def wants(self, language: str) -> bool:
        """Whether names in a language (`de-AT`) are asked for, by itself, by its family (`de`) or by `*`."""
        return any(one in ("*", language, language.partition("-")[0]) for one in self.languages)


@dataclass(frozen=True, slots=True)
class Release:
    """`head` is a CodeSystem resource with url, version, name and content; `concepts` can be walked once."""

    head: Json
    concepts: Iterator[Found]


def head(url: str, version: str, name: str, title: str, **more: Any) -> Json:
    """Return the CodeSystem resource of a complete release, without concepts. Raises Unprocessable for no version."""
    if not version:
        raise Unprocessable(f"The files do not say which version of {title} this is: give the parameter version.")
    made = {
        "resourceType": "CodeSystem", "url": url, "version": version, "name": name, "title": title,
        "status": "active", "content": "complete", **more,
    }  # fmt: skip
    return {member: value for member, value in made.items() if value not in ("", [])}


def declared(properties: Iterable[tuple[str, str]], base: str = "") -> list[Json]:
    """Return CodeSystem.property rows of (code, type); with a base each has the URI base + code."""
    return [{"code": code, **({"uri": base + code} if base else {}), "type": kind} for code, kind in properties]
