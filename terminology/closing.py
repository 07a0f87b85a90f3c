"""A closure table: which of the codes that a client uses subsume which, and since when it was told.

https://hl7.org/fhir/R4/terminology-service.html#closure. The table is a ConceptMap: an element for each code, its
targets the codes that subsume it, and an extension with the version of the table in which the code came. A pair is as
new as the newer of its codes, so that what was added since a version can be told again at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NAMES = "http://example.org/fhir-server/closure-table"  # the system of the identifier that is the name of a table
ADDED = "http://example.org/fhir-server/StructureDefinition/closure-added"
MAX_CODES = 10_000
MAX_PAIRS = 100_000


@dataclass
class System:
    """The codes of one version of a code system: when each came, and the pairs (code, code that subsumes it)."""

    url: str
    version: str
    added: dict[str, int] = field(default_factory=dict)
    above: dict[str, list[str]] = field(default_factory=dict)

    def group(self, since: int) -> Json:
        """Return what came after a version as a group of a ConceptMap."""
        rows = []
        for code, targets in self.above.items():
            new = [t for t in targets if max(self.added[code], self.added[t]) > since]
            if new:
                rows.append({"code": code, "target": [{"code": t, "equivalence": "subsumes"} for t in new]})
        version = {"sourceVersion": self.version, "targetVersion": self.version} if self.version else {}
        return {"source": self.url, "target": self.url, **version, "element": rows} if rows else {}

    def stored(self) -> Json:
        """Return everything as a group of a ConceptMap."""
        rows: list[Json] = []
        for code, version in self.added.items():
            targets: list[Json] = [{"code": t, "equivalence": "subsumes"} for t in self.above.get(code, ())]
            extension = [{"url": ADDED, "valueUnsignedInt": version}]
            rows.append({"extension": extension, "code": code, "target": targets or [{"equivalence": "unmatched"}]})
        version_of = {"sourceVersion": self.version, "targetVersion": self.version} if self.version else {}
        return {"source": self.url, "target": self.url, **version_of, "element": rows}


@dataclass
class Table:
    """A closure table by its name, in its current version; 0 is the empty one that it began as."""

    name: str
    version: int = 0
    systems: dict[str, System] = field(default_factory=dict)

    @property
    def codes(self) -> int:
        """How many codes it has."""
        return sum(len(s.added) for s in self.systems.values())

    @property
    def pairs(self) -> int:
        """How many pairs it has."""
        return sum(len(targets) for s in self.systems.values() for targets in s.above.values())

    def add(self, url: str, version: str, codes: Iterable[str], above: Mapping[str, Iterable[str]]) -> None:
        """Take new codes of a system in, in the version that the table is in now; `above` are the pairs they bring."""
        system = self.systems.setdefault(url, System(url, version))
        system.added |= dict.fromkeys(codes, self.version)
        for code, targets in above.items():
            system.above.setdefault(code, []).extend(targets)

    def answer(self, since: int) -> list[Json]:
        """Return the groups of the pairs that came after a version."""
        return [group for system in self.systems.values() if (group := system.group(since))]

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
        groups = [system.stored() for system in self.systems.values() if system.added]
        return {**made, "group": groups} if groups else made


def table_id(name: str) -> str:
    """Return the id of the ConceptMap of a table: a name may have any characters, an id may not."""
    return f"closure-{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def is_table(concept_map: Json) -> bool:
    """Whether a ConceptMap is a closure table, and so no translation."""
    return bool(concept_map.get("identifier", {}).get("system") == NAMES)


def read_table(name: str, resource: Json) -> Table:
    """Return the table that a ConceptMap keeps."""
    table = Table(name, int(resource.get("version", "0")))
    for group in resource.get("group", ()):
        system = System(group["source"], group.get("sourceVersion", ""))
        for row in group["element"]:
            system.added[row["code"]] = next(e["valueUnsignedInt"] for e in row["extension"] if e["url"] == ADDED)
            targets = [t["code"] for t in row["target"] if "code" in t]
            if targets:
                system.above[row["code"]] = targets
        table.systems[system.url] = system
    return table
