"""What a status of a resource or a concept says to whoever uses it: draft, experimental, deprecated, withdrawn.

https://hl7.org/fhir/R4/extension-structuredefinition-standards-status.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from terminology.codesystem import CodeSystem
from terminology.failures import canonical
from terminology.valueset import Selection, ValueSet

Json = dict[str, Any]

STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
SUPPLEMENT = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
DEPRECATED_HERE = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"


def extension_value(rows: Iterable[Json], url: str) -> Any:
    """Return the value of the first extension with that URL, or None."""
    for row in rows:
        if row.get("url") == url:
            return next((v for k, v in row.items() if k.startswith("value")), None)
    return None


def supplements_of(value_set: Json) -> list[str]:
    """Return the canonicals of the supplements that a ValueSet resource cannot do without."""
    rows = value_set.get("extension", ())
    return [str(e["valueCanonical"]) for e in rows if e.get("url") == SUPPLEMENT and "valueCanonical" in e]


def status_of(resource: Json) -> str:
    """Return the status of a resource that its users should hear of, or nothing."""
    said = extension_value(resource.get("extension", ()), STANDARDS_STATUS)
    if said in ("deprecated", "withdrawn"):
        return str(said)
    if resource.get("experimental") is True:
        return "experimental"
    if resource.get("status") == "draft" or said == "draft":
        return "draft"
    return "deprecated" if resource.get("status") == "retired" else ""


def selections(value_set: ValueSet) -> Iterator[Selection]:
    """Yield every include and exclude of a value set and of those it imports."""
    for one in (value_set, *imported(value_set)):
        yield from one.includes + one.excludes


def imported(value_set: ValueSet) -> list[ValueSet]:
    """Return the value sets that a value set imports, and those that they import, each once."""
    found: dict[int, ValueSet] = {}
    waiting = [value_set]
    while waiting:
        one = waiting.pop()
        for inner in (v for s in one.includes + one.excludes for v in s.imports):
            if id(inner) not in found:
                found[id(inner)] = inner
                waiting.append(inner)
    return list(found.values())


def code_systems(value_set: ValueSet) -> list[CodeSystem]:
    """Return the code systems that a value set draws on, each version once."""
    found = {canonical(s.source.url, s.source.version): s.source for s in selections(value_set) if s.source is not None}
    return list(found.values())
