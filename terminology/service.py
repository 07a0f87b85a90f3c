"""The port to the terminology service, over what is known here and, where the settings name one, a server elsewhere.

https://hl7.org/fhir/R4/terminology-service.html. See fhir_server.api.Terminology.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TypeVar

from fhir_server.api import (
    Coding,
    Concept,
    Expansion,
    Failure,
    Json,
    Library,
    Membership,
    NotFound,
    NotSupported,
    RemoteServer,
    Unavailable,
)
from terminology import elsewhere, explaining
from terminology.checking import Checker
from terminology.codesystem import CodeSystem
from terminology.composing import Composer
from terminology.failures import Contentless, TerminologyError, TooMany, Unknown, Unsupported, is_missing
from terminology.fetching import fetching, settled
from terminology.gathering import gathered, page, size
from terminology.remote import Remote
from terminology.sources import Memory, Sources
from terminology.statuses import supplements_of
from terminology.valueset import Entry, ValueSet
from terminology.verdicts import Place, Rules
from terminology.versions import split

_T = TypeVar("_T")


class LocalTerminology:
    """Answers from CodeSystem and ValueSet resources; what it parsed it remembers, by content.

    With a `remote` it asks another terminology server about what is not known here, and about nothing else.
    """

    def __init__(self, memory: Memory | None = None, remote: Remote | None = None) -> None:
        self.memory = memory or Memory()
        self.remote = remote

    def with_remote(self, server: RemoteServer) -> LocalTerminology:
        """Return a service that knows what this one does, and asks that server about the rest."""
        return LocalTerminology(self.memory, Remote(server))

    async def close(self) -> None:
        """Give back what the service holds."""
        if self.remote is not None:
            await self.remote.close()

    @fetching
    async def expand(self, library: Library, value_set: str, limit: int = 10_000) -> Expansion:
        """Return the codes of a value set."""
        try:
            found = await Composer(Sources(library, self.memory)).named(value_set)
            return await _expansion(found, limit)
        except TerminologyError as error:
            return await self._told(error, lambda remote: self._expand(remote, library, value_set, limit))

    @fetching
    async def contains(self, library: Library, value_set: str, system: str, code: str) -> bool:
        """Whether a value set holds a code."""
        try:
            found = await Composer(Sources(library, self.memory)).named(value_set)
            await found.prepare(system, code)
            return system in found.open_systems or found.find(system, code) is not None
        except TerminologyError as error:
            coding = Coding(system, code)
            return await self._told(error, lambda remote: self._contains(remote, library, value_set, coding))

    @fetching
    async def check(self, library: Library, coding: Coding, value_set: str = "") -> Membership:
        """Say whether a value set, or its own code system, holds a coding."""
        try:
            said = await self._checked(library, coding, value_set)
        except Unavailable:
            raise
        except Failure as failure:
            return Membership(None, failure.issues[0].diagnostics)
        except TerminologyError as error:
            said = Membership(None, str(error))
            if not is_missing(error) and not isinstance(error, Unsupported):
                return said
        about = coding.system or split(value_set)[0]
        if said.holds is not None or self.remote is None or not self.remote.may_ask(about):
            return said
        try:
            return await self._check(self.remote, library, coding, value_set) or said
        except TerminologyError as error:
            return Membership(None, f"{said.text} {error}")

    @fetching
    async def below(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that the code subsumes, itself included."""
        try:
            source, own = await self._subsuming(library, system, code)
        except TerminologyError as error:
            return await self._told(error, lambda remote: _related(remote, system, code, "is-a"))
        return frozenset({own, *source.descendants(own)})

    @fetching
    async def above(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that subsume the code, itself included."""
        try:
            source, own = await self._subsuming(library, system, code)
        except TerminologyError as error:
            return await self._told(error, lambda remote: _related(remote, system, code, "generalizes"))
        return frozenset({own, *source.ancestors(own)})

    async def _checked(self, library: Library, coding: Coding, value_set: str) -> Membership:
        found, named = Sources(library, self.memory), None
        if value_set:
            found, named = await self._named(found, value_set)
            if not (named.resource.keys() & {"compose", "expansion"}):
                return Membership(None, f"The value set {named.url} does not say what is in it.")
        verdict = await Checker(found, named, Rules()).check(_row(coding), _CODING, infer=bool(value_set))
        if verdict.holds is None:
            return Membership(None, explaining.unknown(verdict))
        if not verdict.holds:
            return Membership(False, explaining.refusal(verdict, named))
        is_misnamed = any(f.kind == "invalid-display" for f in verdict.findings)
        return Membership(True, explaining.advice(verdict), verdict.display if is_misnamed else "")

    async def _named(self, found: Sources, value_set: str) -> tuple[Sources, ValueSet]:
        """Return a value set, and the sources with the supplements that it needs."""
        supplements = supplements_of(await found.value_set(*split(value_set)))
        if supplements:
            found = Sources(found.library, self.memory, supplements=supplements)
            await found.named_supplements()
        return found, await Composer(found).named(value_set)

    async def _subsuming(self, library: Library, system: str, code: str) -> tuple[CodeSystem, str]:
        source = await Sources(library, self.memory).code_system(system)
        if not source.has_content:
            raise Contentless(system, source.version)
        if not source.subsumes_by_hierarchy:
            raise NotSupported(
                f"The hierarchy of {system} is {source.head['hierarchyMeaning']}: no code of it subsumes another."
            )
        node = source.get(code)
        if node is None:
            raise NotFound(f"The code system {system} has no code {code[:64]!r}.")
        return source, node.code

    async def _told(self, error: TerminologyError, ask: Callable[[Remote], Awaitable[_T | None]]) -> _T:
        """Return what the remote server says of what is not known here; raises the failure where it says nothing."""
        url = str(getattr(error, "url", ""))
        if self.remote is None or not is_missing(error) or not self.remote.may_ask(url):
            raise error.failure() from error
        try:
            told = await ask(self.remote)
        except TerminologyError as other:
            raise other.failure() from error
        if told is None:
            raise error.failure() from error
        return told

    async def _content(self, remote: Remote, library: Library, value_set: str) -> list[Json] | None:
        found = Sources(library, self.memory)
        try:
            resource = await found.value_set(*split(value_set))
        except Unknown:
            return []
        return await elsewhere.content(found, resource, remote)

    async def _check(self, remote: Remote, library: Library, coding: Coding, value_set: str) -> Membership | None:
        rows = await self._content(remote, library, value_set) if value_set else []
        return None if rows is None else await elsewhere.check(remote, coding, value_set, rows)

    async def _contains(self, remote: Remote, library: Library, value_set: str, coding: Coding) -> bool | None:
        told = await self._check(remote, library, coding, value_set)
        return None if told is None else told.holds

    async def _expand(self, remote: Remote, library: Library, value_set: str, limit: int) -> Expansion | None:
        rows = await self._content(remote, library, value_set)
        return None if rows is None else await elsewhere.expand(remote, value_set, rows, limit)


async def _related(remote: Remote, system: str, code: str, op: str) -> frozenset[str] | None:
    """Return the codes below or above a code; None where the remote server does not know it."""
    found = await elsewhere.expand(remote, system, elsewhere.below(system, code, op), MAX_RELATED)
    codes = frozenset(c.code for c in found.concepts) if found is not None else frozenset()
    return codes or None


MAX_RELATED = 10_000
_CODING = Place("coding")


def _row(coding: Coding) -> dict[str, str]:
    row = {"system": coding.system, "code": coding.code, "version": coding.version, "display": coding.display}
    return {name: value for name, value in row.items() if value}


async def _expansion(value_set: ValueSet, limit: int) -> Expansion:
    parts = await gathered(value_set)
    if parts is not None:
        if size(parts) > limit:
            raise TooMany(value_set.url, limit)
        return Expansion(tuple(map(_concept, await page(parts, 0, limit))))
    systems = value_set.open_systems
    entries = await settled(lambda: list(islice(value_set.entries(systems), limit + 1)))
    if len(entries) > limit:
        raise TooMany(value_set.url, limit)
    return Expansion(tuple(map(_concept, entries)), systems)


def _concept(entry: Entry) -> Concept:
    return Concept(entry.system, entry.code, entry.display, entry.version, entry.is_inactive, entry.is_abstract)
