"""Finding code systems and value sets: those sent with the request, the tenant's, those of FHIR itself, in this order.

What is parsed is remembered by its content, byte for byte: so no tenant can ever see what another one has, and nothing
has to be forgotten when a resource changes.
"""

from __future__ import annotations

from asyncio import gather, to_thread
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

import msgspec

from fhir_server.api import Library, StoredSystem, concepts_of, core_terminology, encode
from terminology.codesystem import CodeSystem
from terminology.expansions import Expansions
from terminology.failures import Broken, Unknown
from terminology.fetching import kept
from terminology.findings import Findings
from terminology.implicit import implicit
from terminology.shapes import decoded
from terminology.stored import StoredCodeSystem
from terminology.versions import fits, latest, split

Json = dict[str, Any]
_T = TypeVar("_T")

MAX_REMEMBERED_BYTES = 8_000_000  # parsed they take about ten times that
MAX_REMEMBERED = 200
LARGE = 250_000


class Remembered(Generic[_T]):
    """The last results of a function of bytes: as many as their sources stay under a size, but always the last one.

    Large sources are worked on in threads, so what is known is changed under a lock.
    """

    def __init__(self, make: Callable[[bytes], _T], size: int = MAX_REMEMBERED_BYTES) -> None:
        self._make, self._size = make, size
        self._lock = Lock()
        self._known: OrderedDict[bytes, _T] = OrderedDict()

    def __call__(self, raw: bytes) -> _T:
        """Return what the function makes of the bytes."""
        found = self.known(raw)
        if found is not None:
            return found
        made = self._make(raw)
        with self._lock:
            self._known[raw] = made
            held = sum(map(len, self._known))
            while (held > self._size and len(self._known) > 1) or len(self._known) > MAX_REMEMBERED:
                held -= len(self._known.popitem(last=False)[0])
        return made

    def known(self, raw: bytes) -> _T | None:
        """Return the result if it is remembered."""
        with self._lock:
            found = self._known.get(raw)
            if found is not None:
                self._known.move_to_end(raw)
        return found


def _code_system(raw: bytes) -> CodeSystem:
    return CodeSystem(decoded(raw, "CodeSystem"))


def _value_set(raw: bytes) -> Json:
    return decoded(raw, "ValueSet")


@dataclass(frozen=True)
class Memory:
    """What a terminology service remembers between requests."""

    code_systems: Remembered[CodeSystem] = field(default_factory=lambda: Remembered(_code_system))
    value_sets: Remembered[Json] = field(default_factory=lambda: Remembered(_value_set))
    findings: Findings = field(default_factory=Findings)
    expansions: Expansions = field(default_factory=Expansions)


class _Head(msgspec.Struct):
    """The little of a resource that tells which version it is."""

    version: str = ""
    content: str = ""


@dataclass(frozen=True)
class VersionRules:
    """Which versions of code systems a request wants: canonicals `url|version`.

    `default` holds where a value set names none, `check` refuses another than that, `force` wins over the value set.
    https://hl7.org/fhir/R4/valueset-operation-expand.html
    """

    default: Sequence[str] = ()
    check: Sequence[str] = ()
    force: Sequence[str] = ()
    value_sets: Sequence[str] = ()

    def wanted(self, url: str, version: str) -> str:
        """Return the version of a code system to look for; empty for the latest."""
        return _of(self.force, url) or version or _of(self.default, url) or _of(self.check, url)

    def refuse(self, url: str, version: str) -> None:
        """Raise Broken where `check` wants another version than the one that was found."""
        wanted = _of(self.check, url)
        if wanted and not fits(version, wanted):
            raise Broken(
                f"The version '{version}' is not allowed for system '{url}': required to be '{wanted}' by a "
                "version-check parameter",
                reason="version",
            )


def _of(canonicals: Sequence[str], url: str) -> str:
    return next((version for known, version in map(split, canonicals) if known == url), "")


@dataclass(frozen=True)
class Sources:
    """Everything one request can find. `given` are resources sent with it, `supplements` the canonicals it names."""

    library: Library
    memory: Memory
    given: Sequence[Json] = ()
    rules: VersionRules = VersionRules()
    supplements: Sequence[str] = ()
    _loaded: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    async def code_system(self, url: str, version: str = "") -> CodeSystem:
        """Return a code system, with the supplements of the request. Raises Unknown."""
        wanted = self.rules.wanted(url, version)
        found: CodeSystem | None = self._loaded.get(("CodeSystem", url, wanted))
        if found is None:
            raw = await self._choose("CodeSystem", url, wanted)
            if isinstance(raw, StoredSystem):
                found = self._stored(raw)
            elif len(raw) > LARGE:
                found = await to_thread(self.memory.code_systems, raw)  # others are served meanwhile
            else:
                found = self.memory.code_systems(raw)
            self.rules.refuse(url, found.version)
            supplements = [s for s in await self.named_supplements() if split(s.get("supplements", ""))[0] == url]
            if supplements:
                found = found.supplemented(supplements)
            self._loaded["CodeSystem", url, wanted] = found
        return found

    def _stored(self, system: StoredSystem) -> StoredCodeSystem:
        """Return the code system over stored concepts: one for the request, however it was asked for."""
        found: StoredCodeSystem | None = self._loaded.get(("stored", system.key, ""))
        if found is None:
            concepts = concepts_of(self.library)
            assert concepts is not None, "where else would it come from"
            found = kept(system.key, lambda: StoredCodeSystem(system, concepts, self.memory.findings))
            self._loaded["stored", system.key, ""] = found
        return found

    async def value_set(self, url: str, version: str = "") -> Json:
        """Return a ValueSet resource. Raises Unknown."""
        wanted = version or _of(self.rules.value_sets, url)
        found: Json | None = self._loaded.get(("ValueSet", url, wanted))
        if found is None:
            try:
                found = self.memory.value_sets(await self._resource("ValueSet", url, wanted))
            except Unknown:
                found = implicit(url, wanted)
                if found is None:
                    raise
            self._loaded["ValueSet", url, wanted] = found
        return found

    async def concept_map(self, url: str, version: str = "") -> Json:
        """Return a ConceptMap resource. Raises Unknown."""
        return decoded(await self._resource("ConceptMap", url, version), "ConceptMap")

    async def named_supplements(self) -> list[Json]:
        """Return the supplements that the request names. Raises Unknown for one that is not here."""
        found = []
        for name in self.supplements:
            url, version = split(name)
            row: Json | None = self._loaded.get(("supplement", url, version))
            if row is None:
                raw = await self._resource("CodeSystem", url, version, supplement=True)
                row = self._loaded["supplement", url, version] = decoded(raw, "CodeSystem")
            found.append(row)
        return found

    async def is_supplement(self, url: str) -> str | None:
        """Return the version of the supplement with that URL (maybe empty), or None where it is none."""
        try:
            raw = await self._resource("CodeSystem", url, "", supplement=True)
        except Unknown:
            return None
        return msgspec.json.decode(raw, type=_Head).version

    async def _resource(self, kind: str, url: str, version: str, *, supplement: bool = False) -> bytes:
        chosen = await self._choose(kind, url, version, supplement=supplement)
        assert isinstance(chosen, bytes), "only code systems are stored otherwise"
        return chosen

    async def _choose(self, kind: str, url: str, version: str, *, supplement: bool = False) -> bytes | StoredSystem:
        known: list[str] = []
        async with aclosing(self._candidates(kind, url)) as sources:  # left to the loop, it costs a system call
            async for candidates in sources:
                fitting = [c for c in candidates if (c[1].content == "supplement") is supplement]
                known += [head.version for _, head in fitting if head.version]
                chosen = latest(((head.version, raw) for raw, head in fitting), version)
                if chosen is not None:
                    return chosen
        raise Unknown("supplement" if supplement else kind, url, version, tuple(sorted(set(known))))

    async def _candidates(self, kind: str, url: str) -> AsyncGenerator[list[tuple[bytes | StoredSystem, _Head]], None]:
        """Yield the versions there are, nearest source first."""
        yield [(raw, self._head(raw)) for raw in _encoded(self.given, kind, url)]
        resources, stored = await self._of_tenant(kind, url)
        yield [*resources, *((system, _Head(system.version)) for system in stored)]
        core = core_terminology(kind, url)
        yield [] if core is None else [(core, self._head(core))]

    async def _of_tenant(
        self, kind: str, url: str
    ) -> tuple[list[tuple[bytes | StoredSystem, _Head]], Sequence[StoredSystem]]:
        """Return what the tenant has; a resource that only names a system whose concepts are stored does not count."""
        concepts = concepts_of(self.library) if kind == "CodeSystem" else None
        if concepts is None:
            return [(raw, self._head(raw)) for raw in await self.library.find(kind, url)], ()
        raws, stored = await gather(self.library.find(kind, url), concepts.systems(url))
        heads = [(raw, self._head(raw)) for raw in raws]
        return [row for row in heads if not stored or row[1].content != "not-present"], stored

    def _head(self, raw: bytes) -> _Head:
        """Return the head of a resource: to read through the bytes of a large one takes milliseconds."""
        known = self.memory.code_systems.known(raw) if len(raw) > LARGE else None
        return msgspec.json.decode(raw, type=_Head) if known is None else _Head(known.version, known.content)


def _encoded(given: Sequence[Json], kind: str, url: str) -> list[bytes]:
    return [encode(r) for r in given if (r.get("resourceType"), r.get("url")) == (kind, url)]
