"""The port to the concepts of large code systems: releases that were loaded, too large to be a CodeSystem resource.

https://hl7.org/fhir/R4/codesystem.html. A stored code system is one version of one system of one tenant. It is loaded
under a key of its own and never changes once it is ready: what was read of it under that key stays true.

Its concepts stand in an order that follows the hierarchy, each after a parent of it, those with the same parent as they
were given. The place in that order is the concept's ordinal, from 0 without gaps; so what is below a concept is a few
spans of ordinals, and a page of a value set is a span as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from fhir_server.api.tenant import Tenant

Json = dict[str, Any]
Progress = Callable[[int, int], Awaitable[None]]  # how many of how many concepts have been worked on

MAX_KEY = 64  # characters of a property's value that its key tells
INACTIVE = "!inactive"
ABSTRACT = "!abstract"


class StoredConcept(msgspec.Struct, array_like=True, gc=False):
    """One concept. `designations`, `properties` and `extensions` are rows of the FHIR resource, as it writes them.

    `parents` are codes of the same system; what properties say of parents and children is in `parents` too. `inactive`
    and `abstract` are said by who loads it, from the properties that mean so in that system. `ordinal` and `below`, the
    ordinals of all its descendants as [first, last, first, last...], are made when the load is finished.
    """

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[Json, ...] = ()
    properties: tuple[Json, ...] = ()
    extensions: tuple[Json, ...] = ()
    parents: tuple[str, ...] = ()
    inactive: bool = False
    abstract: bool = False
    ordinal: int = -1
    below: tuple[int, ...] = ()


class StoredSystem(msgspec.Struct, frozen=True):
    """One version of a code system whose concepts are stored. `head` is the CodeSystem resource without concepts.

    `state` is loading or ready; `started` and `finished` are milliseconds since the epoch, `by` who loaded it.
    """

    key: str
    url: str
    version: str
    head: Json
    count: int = 0
    state: str = "loading"
    started: int = 0
    finished: int = 0
    by: str = ""

    @property
    def is_case_sensitive(self) -> bool:
        """Whether codes that differ in case are different."""
        return self.head.get("caseSensitive") is not False


class Concepts(Protocol):
    """The stored code systems of one tenant."""

    async def begin(self, head: Json, *, by: str, now: int) -> StoredSystem:
        """Begin to load a code system, and return it with a new key.

        The head needs a `url`. Another load of the same url and version stays in force until this one is finished.
        """
        ...

    async def add(self, key: str, batch: int, concepts: Sequence[StoredConcept]) -> None:
        """Keep a batch of concepts, some thousand at most, under its number; a batch that is sent again is replaced.

        Batches may come in any order and leave numbers out. Raises NotFound when the load was abandoned.
        """
        ...

    async def finish(self, key: str, *, now: int, progress: Progress | None = None) -> StoredSystem:
        """Order the concepts, index them and put the system in force at once, in place of the load before it.

        May be called again after a crash. Raises Unprocessable where a code occurs twice or a concept is above itself;
        parents that the system does not have are left out of the hierarchy. Raises NotFound for an abandoned load.
        """
        ...

    async def remove(self, key: str) -> bool:
        """Remove a code system or a load that was not finished; False when it is not there."""
        ...

    async def all(self) -> list[StoredSystem]:
        """Return every code system, those that are loading too, by url and version; heads are given whole."""
        ...

    async def systems(self, url: str) -> Sequence[StoredSystem]:
        """Return the versions of a code system that are ready."""
        ...

    async def find(self, system: StoredSystem, codes: Iterable[str]) -> dict[str, StoredConcept]:
        """Return the concepts of these codes, by the code that was asked for; those that are unknown are left out.

        In a system that minds no case, a code is found in any case of its letters.
        """
        ...

    async def read(self, system: StoredSystem, spans: Iterable[tuple[int, int]]) -> list[StoredConcept]:
        """Return the concepts with these ordinals, [first, last] each, in order."""
        ...

    async def children(self, system: StoredSystem, concept: StoredConcept, limit: int) -> list[StoredConcept]:
        """Return up to `limit` concepts that have this one as a parent, in order."""
        ...

    async def having(self, system: StoredSystem, keys: Sequence[str], limit: int) -> list[StoredConcept]:
        """Return the concepts with one of these property keys, in order, and others beside them: test each.

        Raises TooCostly where more than `limit` concepts would have to be looked at.
        """
        ...

    async def named(self, system: StoredSystem, words: Sequence[str], limit: int) -> list[StoredConcept]:
        """Return the concepts with, for each of these folded words, a word that begins so; and others: test each.

        Raises TooCostly where more than `limit` concepts would have to be looked at.
        """
        ...


class ConceptStore(Protocol):
    """The stored code systems of every tenant."""

    def of(self, tenant: Tenant) -> Concepts:
        """Return those of a tenant."""
        ...


def concepts_of(library: object) -> Concepts | None:
    """Return the stored code systems that a Library has beside its resources, as its `concepts`; None without any."""
    found: Concepts | None = getattr(library, "concepts", None)
    return found


def property_key(code: str, value: str | None = None) -> str:
    """Return the key of a property with a value, or with any."""
    return code if value is None else f"{code}={value[:MAX_KEY]}"


def property_text(row: Json) -> str:
    """Return the value of a property's row as a filter of a value set writes it; of a Coding that is its code."""
    value = next((v for k, v in row.items() if k.startswith("value")), "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Return the words of a text in small letters and without accents: how concepts are found by name."""
    folded = text.casefold()
    if not folded.isascii():
        parts = unicodedata.normalize("NFKD", folded)
        folded = "".join(c for c in parts if not unicodedata.combining(c))
    return _WORD.findall(folded)


def names(concept: StoredConcept) -> Iterator[str]:
    """Yield the texts that a concept is found by: its code and every name."""
    yield concept.code
    yield concept.display
    for row in concept.designations:
        yield str(row.get("value", ""))
