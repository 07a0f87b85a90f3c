"""A library in memory, and small terminology resources of our own making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.api import encode

Json = dict[str, Any]
ANIMALS = "http://example.org/animals"
SET = "http://example.org/ValueSet/"


class Shelf:
    """api.Library over a list of resources; `asked` counts the searches."""

    def __init__(self, *resources: Json) -> None:
        self.resources = list(resources)
        self.asked = 0

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        self.asked += 1
        return [encode(r) for r in self.resources if (r["resourceType"], r["url"]) == (resource_type, url)]


def concept(code: str, *children: Json, **properties: Any) -> Json:
    """Return a concept; properties by name, codes as text."""
    rows = [{"code": k, ("valueBoolean" if isinstance(v, bool) else "valueCode"): v} for k, v in properties.items()]
    made: Json = {"code": code, "display": code.title()}
    if rows:
        made["property"] = rows
    return {**made, "concept": list(children)} if children else made


def animals(**changes: Any) -> Json:
    """Return a code system: animal > (bird > (duck, owl), fish > eel), and stone, which is retired."""
    return {
        "resourceType": "CodeSystem",
        "url": ANIMALS,
        "version": "2",
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "property": [{"code": "food", "type": "code"}, {"code": "flies", "type": "boolean"}],
        "concept": [
            concept(
                "animal",
                concept("bird", concept("duck", food="plants", flies=True), concept("owl", food="mice", flies=True)),
                concept("fish", concept("eel", food="worms", flies=False)),
                notSelectable=True,
            ),
            concept("stone", status="retired"),
        ],
        **changes,
    }


def value_set(name: str, *includes: Json, exclude: Sequence[Json] = (), **changes: Any) -> Json:
    """Return a value set of these includes."""
    compose: Json = {"include": list(includes)}
    if exclude:
        compose["exclude"] = list(exclude)
    return {
        "resourceType": "ValueSet",
        "url": SET + name,
        "status": "active",
        "compose": {**compose, **changes.pop("compose", {})},
        **changes,
    }


def of(system: str = ANIMALS, *codes: str, **more: Any) -> Json:
    """Return an include of a system: all of it, or these codes."""
    row: Json = {"system": system, **more}
    return {**row, "concept": [{"code": c} for c in codes]} if codes else row


def filtered(prop: str, op: str, value: str) -> Json:
    """Return an include of the animals that pass a filter."""
    return {"system": ANIMALS, "filter": [{"property": prop, "op": op, "value": value}]}
