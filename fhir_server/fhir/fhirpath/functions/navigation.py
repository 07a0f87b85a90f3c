"""Tree navigation. https://hl7.org/fhirpath/N1/#tree-navigation"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.elements import all_children
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import Collection


def children(frame: Frame, focus: Collection) -> Collection:
    out: Collection = []
    for node in focus:
        all_children(node, out)
    frame.spend(len(out))
    return out


def descendants(frame: Frame, focus: Collection) -> Collection:
    out: Collection = []
    level = focus
    while level:
        level = children(frame, level)
        out += level
    return out
