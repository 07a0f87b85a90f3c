"""A concept map applied to a code. https://hl7.org/fhir/R4/conceptmap.html"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NO_MATCH = frozenset({"unmatched", "disjoint"})
# What an equivalence is called when the map is read from target to source.
REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@dataclass(frozen=True, slots=True)
class Match:
    """One code that a map gives. `other_map` is the canonical of a map to ask instead."""

    equivalence: str
    system: str = ""
    code: str = ""
    display: str = ""
    products: tuple[Json, ...] = ()
    other_map: str = ""


def translate(concept_map: Json, system: str, code: str, target: str, *, is_reverse: bool = False) -> Iterator[Match]:
    """Yield what a map says of a code, for one target system or all (empty). An empty system means any."""
    for group in concept_map.get("group", ()):
        source, goal = str(group.get("source", "")), str(group.get("target", ""))
        if is_reverse:
            source, goal = goal, source
        if system not in ("", source) or target not in ("", goal):
            continue
        found = list(_reversed(group, code, goal) if is_reverse else _forward(group, code, goal))
        yield from found
        if not found and not is_reverse and not any(e.get("code") == code for e in group.get("element", ())):
            yield from _unmapped(group.get("unmapped"), source, goal, code)


def _forward(group: Json, code: str, goal: str) -> Iterator[Match]:
    for element in group.get("element", ()):
        if element.get("code") != code:
            continue
        for target in element.get("target", ()):
            products = tuple(
                {"element": p.get("property", ""), "system": p.get("system", ""), "code": p.get("value", "")}
                for p in target.get("product", ())
            )
            said = (str(target.get("code", "")), str(target.get("display", "")))
            yield Match(str(target.get("equivalence", "")), goal, *said, products)


def _reversed(group: Json, code: str, goal: str) -> Iterator[Match]:
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") == code:
                equivalence = str(target.get("equivalence", ""))
                said = (str(element.get("code", "")), str(element.get("display", "")))
                yield Match(REVERSED.get(equivalence, equivalence), goal, *said)


def _unmapped(rule: Json | None, source: str, goal: str, code: str) -> Iterator[Match]:
    mode = (rule or {}).get("mode")
    if rule is None or mode is None:
        return
    if mode == "provided":
        yield Match("equal", source, code)
    elif mode == "fixed":
        yield Match("inexact", goal, str(rule.get("code", "")), str(rule.get("display", "")))
    elif mode == "other-map":
        yield Match("relatedto", other_map=str(rule.get("url", "")))
