"""A closure table: the codes that a client uses, and in which version of the table each of them came.

https://hl7.org/fhir/R4/terminology-service.html#closure. Which of them subsume which is what the code system says, so
it is not kept: a pair is as new as the newer of its codes. The table is a ConceptMap without groups, its codes packed
in an extension: written out they would be indexed one by one, and written anew with each code that is added.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NAMES = "http://example.org/fhir-server/closure-table"  # the system of the identifier that is the name of a table
CODES = "http://example.org/fhir-server/StructureDefinition/closure-codes"
MAX_CODES = 10_000
MAX_PACKED = 10_000_000  # bytes of codes, unpacked


@dataclass
class System:
    """The codes of one version of a code system, each with the version of the table in which it came."""

    url: str
    version: str
    added: dict[str, int] = field(default_factory=dict)

    def since(self, version: int) -> list[str]:
        """Return the codes that came after a version of the table."""
        return [code for code, added in self.added.items() if added > version]


@dataclass
class Table:
    """A closure table by its name, in its current version; 0 is the empty one that it began as."""

    name: str
    version: int = 0
    systems: dict[str, System] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many codes it has."""
        return sum(len(s.added) for s in self.systems.values())

    @property
    def added_now(self) -> bool:
        """Whether codes came in the version that the table is in now."""
        return any(self.version in s.added.values() for s in self.systems.values())

    def add(self, url: str, version: str, codes: Iterable[str]) -> None:
        """Take new codes of a system in, in the version that the table is in now."""
        system = self.systems.setdefault(url, System(url, version))
        system.added |= dict.fromkeys(codes, self.version)

    def resource(self) -> Json:
        """Return the ConceptMap that the table is kept as."""
        made: Json = {
            "resourceType": "ConceptMap",
            "id": table_id(self.name),
            "identifier": {"system": NAMES, "value": self.name},
            "version": str(self.version),
            "title": f"Closure table {self.name}",
            "status": "active",
        }
        rows = [_packed(system) for system in self.systems.values() if system.added]
        return {**made, "extension": rows} if rows else made


def table_id(name: str) -> str:
    """Return the id of the ConceptMap of a table: a name may have any characters, an id may not."""
    return f"closure-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def is_table(concept_map: Json) -> bool:
    """Whether a ConceptMap is a closure table, and so no translation."""
    return bool(concept_map.get("identifier", {}).get("system") == NAMES)


def read_table(name: str, resource: Json) -> Table:
    """Return the table that a ConceptMap keeps. Raises ValueError for one that somebody else has written."""
    try:
        return _read(Table(name, int(resource["version"])), resource.get("extension", ()))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError("no closure table") from error


def _read(table: Table, rows: Iterable[Json]) -> Table:
    for row in rows:
        if row["url"] == CODES:
            parts = {p["url"]: p for p in row["extension"]}
            system = System(parts["system"]["valueUri"], parts.get("version", {}).get("valueString", ""))
            lines = _unpacked(parts["codes"]["valueBase64Binary"]).split("\n")
            system.added = {code: int(added) for added, _, code in (line.partition(" ") for line in lines)}
            table.systems[system.url] = system
    return table


def _unpacked(text: str) -> str:
    engine = zlib.decompressobj()
    raw = engine.decompress(b64decode(text), MAX_PACKED)
    if engine.unconsumed_tail:
        raise ValueError("too many codes")
    return raw.decode()


def _packed(system: System) -> Json:
    lines = "\n".join(f"{added} {code}" for code, added in system.added.items())
    packed = b64encode(zlib.compress(lines.encode(), 6)).decode()
    parts: list[Json] = [{"url": "system", "valueUri": system.url}]
    if system.version:
        parts.append({"url": "version", "valueString": system.version})
    return {"url": CODES, "extension": [*parts, {"url": "codes", "valueBase64Binary": packed}]}
