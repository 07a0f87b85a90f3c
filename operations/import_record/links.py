"""Where the references of a record lead: to another resource of the Bundle, to one here, elsewhere, or nowhere.

https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fhir_server.api import Json, local_reference, references
from operations.import_record.source import Item


class Links:
    """Resolves the literal references of one Bundle."""

    def __init__(self, items: Sequence[Item], base_url: str) -> None:
        self._by_url = {item.url: item for item in items}
        self._by_key: dict[str, list[Item]] = {}
        for item in items:
            self._by_key.setdefault(f"{item.type}/{item.resource.get('id')}", []).append(item)
        self._base = base_url + "/"

    def inside(self, item: Item, literal: str) -> Item | None:
        """Return the resource of the Bundle that a reference of `item` leads to, whichever version it names."""
        plain = literal.partition("/_history/")[0]
        found = self._by_url.get(plain)
        if found is not None or local_reference(plain) is None:
            return found
        if item.web_base:
            found = self._by_url.get(f"{item.web_base}/{plain}")
        if found is None:
            same = [other for other in self._by_key.get(plain, ()) if not (item.web_base and other.web_base)]
            found = same[0] if len(same) == 1 else None
        return found

    def here(self, item: Item, literal: str) -> str:
        """Return the key of the resource on this server that is meant, or ''.

        A relative reference in a resource of another server is relative to that server, so it never leads here: the
        Practitioner/5 of the old office is not ours.
        """
        relative = literal.removeprefix(self._base)
        if relative == literal and item.web_base and item.web_base + "/" != self._base:
            return ""
        found = local_reference(relative)
        return f"{found[0]}/{found[1]}" if found else ""


def literals(resource: Json) -> Iterator[str]:
    """Yield the references of a resource that leave it."""
    for _, literal in references(resource):
        if not literal.startswith("#"):
            yield literal


def is_elsewhere(literal: str) -> bool:
    """Whether a reference that leads nowhere known may stand: an absolute URL, or a condition to be looked up."""
    if literal.startswith(("http://", "https://")):
        return True
    kind, condition, _ = literal.partition("?")
    return bool(condition) and kind.isalpha() and kind != "Patient"


def relinked(node: Any, change: Callable[[str, str], str | None]) -> Any:
    """Return a copy with the texts of `reference` and `url` members changed where `change(member, text)` says so."""
    if isinstance(node, list):
        return [relinked(value, change) for value in node]
    if not isinstance(node, dict):
        return node
    copy: Json = {}
    for name, value in node.items():
        if isinstance(value, str):
            copy[name] = (change(name, value) or value) if name in ("reference", "url") else value
        else:
            copy[name] = relinked(value, change)
    return copy
