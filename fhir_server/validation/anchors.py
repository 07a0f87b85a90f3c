"""What can be pointed at inside a resource: ids of elements, which are unique, and what links of narratives lead to.

https://hl7.org/fhir/R4/element.html, https://hl7.org/fhir/R4/narrative.html#id
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.validation.findings import Finding, Findings, Json, is_full, shown, step

_links_inside = re.compile(r"""<a\s[^<>]*?href\s*=\s*["']#([^"'<>]+)["']""").findall
_named = re.compile(r"""\s(?:id|name)\s*=\s*["']([^"'<>]*)["']""").findall

# The views of a StructureDefinition have the same elements, with the same ids.
_APART = ("resourceType", "element")
_REPEATED = "Another element of the resource has this id; each has its own."


def check_anchors(resource: Json) -> Findings | None:
    """Return the ids that elements share, and the links of narratives that lead nowhere; most have neither."""
    ids, narratives = _gathered(resource)
    links = [link for text in narratives if '"#' in text or "'#" in text for link in _links_inside(text)]
    found: Findings = []
    if len(set(ids)) < len(ids):
        _repeated(resource, found)
    if links:
        known = {*ids, *(name for text in narratives for name in _named(text))}
        if not known.issuperset(links):
            _leading_nowhere(resource, known, found)
    return found or None


def _gathered(resource: Json) -> tuple[list[str], list[str]]:
    """Return all ids, those of resources included, and all narratives, wherever they are."""
    ids: list[str] = []
    narratives: list[str] = []
    waiting: list[Json] = [resource]
    while waiting:
        value = waiting.pop()
        own, text = value.get("id"), value.get("div")
        if type(own) is str:
            ids.append(own)
        if type(text) is str:
            narratives.append(text)
        for item in value.values():
            kind = type(item)
            if kind is dict:
                waiting.append(item)
            elif kind is list:
                waiting += [one for one in item if type(one) is dict]
    return ids, narratives


def _repeated(resource: Json, found: Findings) -> None:
    """Each resource has ids of its own: those contained, and those of a Bundle, may use the same."""
    seen: set[tuple[int, str]] = set()
    for path, value, holder in _objects(resource):
        own = value.get("id")
        if type(own) is not str or "resourceType" in value:
            continue
        if (id(holder), own) in seen:
            found.append(Finding("business-rule", _REPEATED, f"{path}.id"))
            if is_full(found):
                return
        seen.add((id(holder), own))


def _leading_nowhere(resource: Json, known: set[str], found: Findings) -> None:
    for path, value, _ in _objects(resource):
        text = value.get("div")
        for link in _links_inside(text) if type(text) is str else ():
            if link not in known:
                said = f"The link #{shown(link)} leads nowhere: nothing in the resource has this id or name."
                found.append(Finding("not-found", said, f"{path}.div", "warning"))


def _objects(resource: Json) -> Iterator[tuple[str, Json, Json]]:
    """Yield every object with its path and the resource it belongs to, in the order of the document."""
    waiting: list[tuple[str, Any, Json]] = [("", resource, resource)]
    while waiting:
        path, value, holder = waiting.pop()
        if type(value) is list:
            waiting += [(f"{path}[{place}]", value[place], holder) for place in range(len(value) - 1, -1, -1)]
        elif type(value) is dict:
            holder = value if any(name in value for name in _APART) else holder
            yield path, value, holder
            rows = [(path + step(name.removeprefix("_")), item, holder) for name, item in value.items()]
            waiting += reversed(rows)
