"""Finding out what a validation has asked: profiles with their bases made ready, definitions, answers about codes.

https://hl7.org/fhir/R4/profiling.html#resolution
"""

from __future__ import annotations

from asyncio import to_thread
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any

from fhir_server.api.concepts import concepts_of
from fhir_server.api.terminology import Library, Terminology
from fhir_server.fhir.definitions.profiles import core_structure
from fhir_server.fhir.json import decode_stored, encode
from fhir_server.fhir.snapshots import SnapshotError, snapshot
from fhir_server.validation.findings import Finding, Findings, refuse
from fhir_server.validation.knowledge import Knowledge, Question, Unusable
from fhir_server.validation.profiles import Profile, ProfileError, compile_profile

Json = dict[str, Any]

STRUCTURE = "StructureDefinition"
MAX_BASES = 100
_UNUSABLE = "No resource could be held to this profile:"
MAX_SHARED = 1_000


class _Missing(Exception):
    """A structure has to be fetched before a snapshot can be made."""

    def __init__(self, canonical: str) -> None:
        super().__init__(canonical)
        self.canonical = canonical


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A structure with what tells it from others; the core's own are told by their URL."""

    structure: Json
    digest: bytes


# The structures a profile was made from: (canonical, digest) pairs, the profile's own first.
_Made = tuple[tuple[tuple[str, bytes], ...], Profile]


class SharedProfiles:
    """Profiles by the content they were made from, so that tenants with the same packages share them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: OrderedDict[bytes, list[_Made]] = OrderedDict()

    def of(self, digest: bytes) -> Sequence[_Made]:
        """Return what was made from a structure, each with the others it was made from."""
        with self._lock:
            return tuple(self._made.get(digest, ()))

    def keep(self, made: _Made) -> None:
        """Keep a profile; the oldest is forgotten."""
        with self._lock:
            self._made.setdefault(made[0][0][1], []).append(made)
            while len(self._made) > MAX_SHARED:
                self._made.popitem(last=False)


class _Once:
    """A library that is asked for each definition once: the codes of a resource share a few systems and value sets."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._found: dict[tuple[str, str], Sequence[bytes]] = {}
        self.concepts = concepts_of(library)

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        """Return every version of a definition."""
        key = (resource_type, url)
        if key not in self._found:
            self._found[key] = await self._library.find(resource_type, url)
        return self._found[key]


class Learner:
    """Finds answers for one tenant, by what its library holds at the moment; one for each validation."""

    def __init__(self, library: Library, terminology: Terminology, shared: SharedProfiles) -> None:
        self._library = _Once(library)
        self._terminology = terminology
        self._shared = shared
        self._fetched: dict[str, _Fetched | None] = {}

    async def learn(self, knowledge: Knowledge, wanted: Iterable[Question]) -> None:
        """Find out everything that was asked, so that each has an answer afterwards, if only that nobody knows.

        Raises Unavailable where the database is away: that is no answer to be kept.
        """
        for question in wanted:
            if question.kind == "profile":
                knowledge.profiles[question.canonical] = await self._profile(question.canonical)
            elif question.coding is not None:
                value_set = question.canonical
                found = await self._terminology.check(self._library, question.coding, value_set)
                knowledge.codes[question] = found
            else:
                found_rows = await self._find(question.kind, question.canonical)
                decoded = decode_stored(found_rows) if found_rows is not None else None
                knowledge.definitions[question.kind, question.canonical] = decoded
        knowledge.make_room()

    async def _profile(self, canonical: str) -> Profile | Unusable:
        own = await self._structure(canonical)
        if own is None:
            return Unusable(f"The profile {canonical} is not known here.")
        if own.structure.get("fhirVersion", "4.0.1") not in ("4.0.0", "4.0.1"):
            return Unusable(f"The profile {canonical} is for FHIR {own.structure['fhirVersion']}.", known=True)
        for made, profile in self._shared.of(own.digest):
            if await self._is_same(made[1:]):
                return profile
        try:
            return await self._made(canonical, own)
        except (SnapshotError, ProfileError) as error:
            return Unusable(f"The profile {canonical} cannot be used: {error}", known=True)

    async def trial(self, structure: Json) -> Findings | None:
        """Return why nobody could be held to a StructureDefinition, which need not be in the library; None if one can.

        Only profiles are tried, by their differential. Where what one stands on is not here it is a warning.
        """
        if structure.get("derivation") != "constraint" or structure.get("kind") == "logical":
            return None
        url = str(structure.get("url") or "")
        own = {name: one for name, one in structure.items() if name != "snapshot" or "differential" not in structure}
        try:
            await self._made(url, _Fetched(own, blake2b(encode(own), digest_size=16).digest()))
        except SnapshotError as error:
            is_elsewhere = error.structure not in ("", url) or None in self._fetched.values()
            return [Finding(error.code, f"{_UNUSABLE} {error}.", severity="warning" if is_elsewhere else "error")]
        except ProfileError as error:
            return refuse("structure", f"{_UNUSABLE} {error}")
        return None

    async def _made(self, canonical: str, own: _Fetched) -> Profile:
        used: dict[str, bytes] = {canonical: own.digest}

        def resolve(name: str) -> Json | None:
            if name not in self._fetched:
                raise _Missing(name)
            found = self._fetched[name]
            used[name] = found.digest if found else b""
            return found.structure if found else None

        for _ in range(MAX_BASES):
            try:
                profile = await to_thread(
                    _compiled, own.structure, resolve
                )  # that of a hostile one takes half a second
            except _Missing as missing:
                await self._structure(missing.canonical)
                continue
            self._shared.keep((tuple(used.items()), profile))
            return profile
        raise SnapshotError(f"its snapshot is made from more than {MAX_BASES} others")

    async def _is_same(self, rows: Sequence[tuple[str, bytes]]) -> bool:
        """Whether the tenant has the very same structures under these canonicals."""
        for canonical, digest in rows:
            found = await self._structure(canonical)
            if (found.digest if found else b"") != digest:
                return False
        return True

    async def _structure(self, canonical: str) -> _Fetched | None:
        """Return a structure: FHIR's own cannot be replaced, for everything is built on them."""
        if canonical not in self._fetched:
            core = core_structure(canonical)
            if core is not None:
                self._fetched[canonical] = _Fetched(core, canonical.encode())
            else:
                raw = await self._find(STRUCTURE, canonical)
                row = None if raw is None else _Fetched(decode_stored(raw), blake2b(raw, digest_size=16).digest())
                self._fetched[canonical] = row
        return self._fetched[canonical]

    async def _find(self, kind: str, canonical: str) -> bytes | None:
        """Return the version that a canonical names, or the first the library has: its best."""
        url, _, version = canonical.partition("|")
        found = await self._library.find(kind, url)
        if not version:
            return found[0] if found else None
        return next((raw for raw in found if _has_version(raw, version)), None)


def _compiled(structure: Json, resolve: Callable[[str], Json | None]) -> Profile:
    published = structure.get("snapshot")
    elements = published.get("element") if type(published) is dict else None
    if type(elements) is not list or not elements:
        elements = snapshot(structure, resolve)
    return compile_profile(structure, elements)


def _has_version(raw: bytes, version: str) -> bool:
    own = str(decode_stored(raw).get("version", ""))
    return own == version or own.startswith(version + ".")
