"""Filtering and projection. https://hl7.org/fhirpath/N1/#filtering-and-projection"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.equality import identity, weight
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection
from fhir_server.fhir.fhirpath.singletons import truth


def where(frame: Frame, focus: Collection, criteria: Run) -> Collection:
    if not focus:
        return EMPTY
    frame.spend(len(focus))
    this, index = frame.this, frame.index
    out = []
    for frame.index, node in enumerate(focus):
        frame.this = [node]
        if truth(criteria(frame)):
            out.append(node)
    frame.this, frame.index = this, index
    return out


def select(frame: Frame, focus: Collection, projection: Run) -> Collection:
    if not focus:
        return EMPTY
    frame.spend(len(focus))
    this, index = frame.this, frame.index
    out: Collection = []
    for frame.index, node in enumerate(focus):
        frame.this = [node]
        out += projection(frame)
    frame.this, frame.index = this, index
    frame.spend(len(out))
    return out


def repeat(frame: Frame, focus: Collection, projection: Run) -> Collection:
    """Project again and again until nothing new comes; the input itself is not part of the answer."""
    out: Collection = []
    seen = set()
    level = focus
    while level:
        found = select(frame, level, projection)
        frame.spend(weight(found))
        level = []
        for node in found:
            key = identity(node)
            if key not in seen:
                seen.add(key)
                level.append(node)
        out += level
    return out


def aggregate(frame: Frame, focus: Collection, aggregator: Run, start: Run | None = None) -> Collection:
    frame.spend(len(focus))
    this, index, total = frame.this, frame.index, frame.total
    current = start(frame) if start is not None else EMPTY
    for frame.index, node in enumerate(focus):
        frame.this, frame.total = [node], current
        current = aggregator(frame)
    frame.this, frame.index, frame.total = this, index, total
    return current
