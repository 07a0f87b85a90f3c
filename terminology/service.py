"""The terminology port over the resources of the tenant and of FHIR itself. See fhir_server.api.Terminology."""

from __future__ import annotations

from fhir_server.api import Coding, Concept, Expansion, Failure, Library, Membership, NotFound, NotSupported
from terminology import explaining
from terminology.checking import Checker
from terminology.codesystem import CodeSystem
from terminology.composing import Composer
from terminology.failures import Contentless, TerminologyError, TooMany
from terminology.sources import Memory, Sources
from terminology.statuses import supplements_of
from terminology.valueset import Entry, ValueSet
from terminology.verdicts import Place, Rules
from terminology.versions import split


class LocalTerminology:
    """Answers from CodeSystem and ValueSet resources; what it parsed it remembers, by content."""

    def __init__(self) -> None:
        self.memory = Memory()

    async def expand(self, library: Library, value_set: str, limit: int = 10_000) -> Expansion:
        """Return the codes of a value set."""
        try:
            found = await Composer(Sources(library, self.memory)).named(value_set)
            return _expansion(found, limit)
        except TerminologyError as error:
            raise error.failure() from error

    async def contains(self, library: Library, value_set: str, system: str, code: str) -> bool:
        """Whether a value set holds a code."""
        try:
            found = await Composer(Sources(library, self.memory)).named(value_set)
            return system in found.open_systems or found.find(system, code) is not None
        except TerminologyError as error:
            raise error.failure() from error

    async def check(self, library: Library, coding: Coding, value_set: str = "") -> Membership:
        """Say whether a value set, or its own code system, holds a coding."""
        try:
            return await self._checked(library, coding, value_set)
        except Failure as failure:
            return Membership(None, failure.issues[0].diagnostics)
        except TerminologyError as error:
            return Membership(None, str(error))

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

    async def below(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that the code subsumes, itself included."""
        source, own = await self._subsuming(library, system, code)
        return frozenset({own, *source.descendants(own)})

    async def above(self, library: Library, system: str, code: str) -> frozenset[str]:
        """Return the codes that subsume the code, itself included."""
        source, own = await self._subsuming(library, system, code)
        return frozenset({own, *source.ancestors(own)})

    async def _subsuming(self, library: Library, system: str, code: str) -> tuple[CodeSystem, str]:
        try:
            source = await Sources(library, self.memory).code_system(system)
        except TerminologyError as error:
            raise error.failure() from error
        if not source.has_content:
            raise Contentless(system, source.version).failure()
        if not source.subsumes_by_hierarchy:
            raise NotSupported(
                f"The hierarchy of {system} is {source.head['hierarchyMeaning']}: no code of it subsumes another."
            )
        node = source.get(code)
        if node is None:
            raise NotFound(f"The code system {system} has no code {code[:64]!r}.")
        return source, node.code


_CODING = Place("coding")


def _row(coding: Coding) -> dict[str, str]:
    row = {"system": coding.system, "code": coding.code, "version": coding.version, "display": coding.display}
    return {name: value for name, value in row.items() if value}


def _expansion(value_set: ValueSet, limit: int) -> Expansion:
    systems = value_set.open_systems
    concepts: list[Concept] = []
    for entry in value_set.entries(systems):
        concepts.append(_concept(entry))
        if len(concepts) > limit:
            raise TooMany(value_set.url, limit)
    return Expansion(tuple(concepts), systems)


def _concept(entry: Entry) -> Concept:
    return Concept(entry.system, entry.code, entry.display, entry.version, entry.is_inactive, entry.is_abstract)
