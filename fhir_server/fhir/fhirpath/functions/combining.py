"""Combining. https://hl7.org/fhirpath/N1/#combining"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.functions.existence import distinct
from fhir_server.fhir.fhirpath.nodes import Collection


def union(frame: Frame, focus: Collection, other: Collection) -> Collection:
    return distinct(frame, focus + other)


def combine(frame: Frame, focus: Collection, other: Collection) -> Collection:
    frame.spend(len(focus) + len(other))
    return focus + other
