"""The port to a terminology service: which codes a value set holds, and which codes a code subsumes.

https://hl7.org/fhir/R4/terminology-service.html. An implementation is found by the entry point group
`fhir_server.terminology`. It stands on no database: whoever asks gives it a Library, which finds the caller's value
sets and code systems with the caller's rights, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Library(Protocol):
    """Where a terminology service finds the resources of the tenant it answers for."""

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        """Return every version the caller may see of the CodeSystem, ValueSet or ConceptMap with that canonical URL.

        The URL comes without `|version`. Those of FHIR itself need not be found: the service knows them.
        """
        ...


class Concept(msgspec.Struct, frozen=True):
    """One code of a value set. `version` is that of the code system it was taken from; `display` may be empty."""

    system: str
    code: str
    display: str = ""
    version: str = ""
    inactive: bool = False
    abstract: bool = False


class Expansion(msgspec.Struct, frozen=True):
    """What a value set holds: single codes, and systems whose every code belongs although nobody listed them here.

    Such a system is one like LOINC that the server has no content of, included as a whole: no code of it is known, and
    every code of it is in the value set.
    """

    concepts: tuple[Concept, ...] = ()
    systems: frozenset[str] = frozenset()


class Coding(msgspec.Struct, frozen=True):
    """A code as a resource gives it. An empty system means that the value set tells it."""

    system: str
    code: str
    version: str = ""
    display: str = ""


class Membership(msgspec.Struct, frozen=True):
    """What is said of a coding. `holds` is None where nobody can tell; `text` says why it does not, or cannot be told.

    Where it holds, `text` is what to mind all the same: that the code is inactive, or written in other letters.

    `display` is the right name of the code where the coding has a wrong one, which alone does not make it not hold.
    """

    holds: bool | None
    text: str = ""
    display: str = ""


class RemoteServer(msgspec.Struct, frozen=True):
    """A terminology server elsewhere, for what is not known here: the settings `terminology_remote...`.

    Asked are codes, code systems and canonical URLs, and no data of patients. `timeout` and `cache_seconds` are in
    seconds; `systems` are beginnings of the URLs that may be asked about, none meaning all; with `sends_value_sets` the
    value sets of a tenant may be sent whole, where the server elsewhere cannot have them.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 5.0
    cache_seconds: float = 3600.0
    systems: tuple[str, ...] = ()
    sends_value_sets: bool = False


class Terminology(Protocol):
    """What search and validation ask about codes.

    Value sets are named by canonical URL, `url` or `url|version`; without a version the latest is meant. Everything
    raises NotFound for a value set or a code system that nobody knows, NotSupported where the answer needs the content
    of a code system that the server was not given or something this service cannot do, Unprocessable for a value set
    that is wrong in itself (it imports itself, a filter has no value). The message names the URL.
    """

    async def expand(self, library: Library, value_set: str, limit: int = 10_000) -> Expansion:
        """Return the codes of a value set. Raises TooCostly past the limit; nothing is ever cut off silently."""
        ...

    async def contains(self, library: Library, value_set: str, system: str, code: str) -> bool:
        """Whether a value set holds a code; cheaper than to expand it. An empty system means any."""
        ...

    async def check(self, library: Library, coding: Coding, value_set: str = "") -> Membership:
        """Say whether a value set, or where none is named its own code system, holds a coding.

        Raises Unavailable where the library cannot be read, and nothing else.

        What is not known (a value set, a code system, a version, content that is not here) is a membership of None.
        """
        ...

    async def below(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that the code subsumes, itself included. Raises NotFound for a code the system lacks."""
        ...

    async def above(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that subsume the code, itself included. Raises NotFound for a code the system lacks."""
        ...
