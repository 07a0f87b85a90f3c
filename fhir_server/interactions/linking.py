"""Links between the entries of a transaction, and conditional references. https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from typing import Any

from fhir_server.api.errors import Failure, InvalidRequest, PreconditionFailed
from fhir_server.fhir.references import references, rewrite
from fhir_server.interactions.conditional import parse_criteria, single_match
from fhir_server.interactions.entries import Entry, at_entry
from fhir_server.interactions.naming import DRAFTED, Work
from fhir_server.interactions.services import Call

Json = dict[str, Any]


class Links:
    """Links between entries, and conditional references to what is stored already."""

    def __init__(self, call: Call, work: Work) -> None:
        self._call = call
        self._work = work
        self._conditional: dict[str, str] = {}

    async def resolve_conditional(self, entries: list[Entry]) -> None:
        """Look up every `Type?criteria` reference once. https://hl7.org/fhir/R4/http.html#trules"""
        for entry in entries:
            if entry.route.interaction not in DRAFTED:
                continue
            for literal in _conditional_references(entry.request.body):
                if literal not in self._conditional:
                    self._conditional[literal] = await self._look_up(entry, literal)

    async def _look_up(self, entry: Entry, literal: str) -> str:
        kind, _, criteria = literal.partition("?")
        where = f"{entry.expression}.resource"
        if kind not in self._call.services.definitions.resource_types:
            raise InvalidRequest(f"A conditional reference names no resource type: {kind[:64]!r}.", expression=where)
        try:
            found = await single_match(self._call, kind, parse_criteria(criteria))
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None
        if found is None:
            raise PreconditionFailed(f"A conditional reference to {kind} matches nothing.", expression=where)
        return found

    def rewritten(self, entry: Entry) -> Json:
        """Return the entry's resource with every link to another entry, and every condition, made a reference."""
        changed: Json = rewrite(entry.request.body, self._change)
        return changed

    def _change(self, text: str) -> str | None:
        key = self._work.keys.get(text)
        if key is not None:
            return key
        if "?" in text:
            return self._conditional.get(text)
        link, history, _ = text.partition("/_history/")
        key = self._work.keys.get(link) if history else None
        return None if key is None else f"{key}/_history/{self._version_of(key)}"

    def _version_of(self, key: str) -> int:
        """Return the version that a resource has when this is over, which a link to a version then means."""
        found = self._work.answers.get(self._work.touched[key])
        if found is not None:
            return found.version
        current = self._work.previous.get(key)
        return current.version + 1 if current is not None else 1


def _conditional_references(node: Any) -> list[str]:
    return [literal for _, literal in references(node) if "?" in literal and "://" not in literal]
