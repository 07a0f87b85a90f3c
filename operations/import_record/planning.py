"""What an import writes: every resource under its id here, links rewritten, its origin kept, what is here compared.

Ids are made of what identifies a resource, so that the same import writes the same resources: a second time nothing
changes. https://www.rfc-editor.org/rfc/rfc4122#section-4.3
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid5

from fhir_server.api import Json, Stored, decode_stored
from operations.import_record.links import Links, relinked
from operations.import_record.matching import URI_SYSTEM
from operations.import_record.source import Item

NAMESPACE = UUID("6d3b4f0e-52a7-5a34-9d0c-6f5f3c8f2a11")


@dataclass(frozen=True, slots=True)
class Names:
    """Gives each resource its id: by its URL where that is one of the web, within one patient's record; else by
    Bundle and URL, for nobody can say that the same `urn:uuid` in another Bundle is the same thing."""

    bundle: tuple[str, str]
    patient: str

    def key(self, item: Item) -> str:
        """Return `Type/id` here."""
        if item.type == "Patient":
            return self.patient
        if item.web_base:
            return f"{item.type}/{made_id(self.patient, item.url)}"
        return f"{item.type}/{made_id(*self.bundle, item.url)}"


@dataclass(frozen=True, slots=True)
class Change:
    """A resource as it is to be here, and what is here now if anything."""

    item: Item
    key: str
    resource: Json
    previous: Stored | None

    @property
    def is_needed(self) -> bool:
        """Whether writing it would change anything."""
        return self.previous is None or self.previous.deleted or _content(self.previous) != self.resource


def made_id(*parts: str) -> str:
    """Return the id that these texts always give."""
    return str(uuid5(NAMESPACE, "\n".join(parts)))


def plan(items: Sequence[Item], links: Links, names: Names, here: Mapping[str, Stored]) -> list[Change]:
    """Return the change that each resource makes; `here` are the current versions by key."""
    changes = []
    for item in items:
        key = names.key(item)
        previous = here.get(key)
        resource = _rewritten(item, links, names)
        if previous is not None and not previous.deleted:
            resource = _kept(resource, decode_stored(previous.raw))
        changes.append(Change(item, key, resource, previous))
    return changes


def _rewritten(item: Item, links: Links, names: Names) -> Json:
    """Return the resource under its new id, referring to the others by theirs."""

    def change(member: str, text: str) -> str | None:
        target = links.inside(item, text)
        if member == "url":  # of an Attachment; other URLs, such as an extension's, are names and no links
            return names.key(target) if target is not None and target.type == "Binary" else None
        return names.key(target) if target is not None else (links.here(item, text) or None)

    resource: Json = relinked(item.resource, change)
    meta = {n: v for n, v in resource.get("meta", {}).items() if n not in ("versionId", "lastUpdated")}
    if not item.url.startswith("entry/"):
        meta["source"] = item.url
    rebuilt: Json = {"resourceType": item.type, "id": names.key(item).partition("/")[2]}
    if meta:
        rebuilt["meta"] = meta
    rebuilt |= {name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")}
    if item.is_absolute and item.type in _identified_types():
        own = {"system": URI_SYSTEM, "value": item.url}
        rebuilt["identifier"] = _union(rebuilt.get("identifier", []), [own], ("system", "value"))
    return rebuilt


def _kept(resource: Json, previous: Json) -> Json:
    """Return the new version of what is here: security labels are never lost, nor the identifiers of a patient."""
    labels = previous.get("meta", {}).get("security", [])
    if labels:
        meta = resource.get("meta", {})
        security = _union(labels, meta.get("security", []), ("system", "code"))
        resource = {**resource, "meta": {**meta, "security": security}}
    if resource["resourceType"] == "Patient" and previous.get("identifier"):
        identifiers = _union(previous["identifier"], resource.get("identifier", []), ("system", "value"))
        resource = {**resource, "identifier": identifiers}
    return resource


def _union(there: list[Any], more: list[Any], members: tuple[str, str]) -> list[Any]:
    known = {tuple(row.get(name) for name in members) for row in there}
    return [*there, *(row for row in more if tuple(row.get(name) for name in members) not in known)]


def _content(record: Stored) -> Json:
    """Return a stored resource without what the server stamps on it."""
    resource: Json = decode_stored(record.raw)
    meta = {n: v for n, v in resource.get("meta", {}).items() if n not in ("versionId", "lastUpdated")}
    return {**{n: v for n, v in resource.items() if n != "meta"}, **({"meta": meta} if meta else {})}


@lru_cache(maxsize=1)
def _identified_types() -> frozenset[str]:
    """Return the types that can have several identifiers. https://hl7.org/fhir/R4/identifier-registry.html"""
    return frozenset(json.loads((files(__package__) / "identified_types.json").read_text()))
