"""Utility functions: trace, the clock, type reflection. https://hl7.org/fhirpath/N1/#utility-functions"""

from __future__ import annotations

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.functions.filtering import select
from fhir_server.fhir.fhirpath.nodes import DATE, DATETIME, TIME, Collection, Node
from fhir_server.fhir.fhirpath.singletons import text


def trace(frame: Frame, focus: Collection, name: Run, projection: Run | None = None) -> Collection:
    """Tell the environment what passes here; the collection itself goes on unchanged."""
    if frame.environment.trace is not None:
        seen = focus if projection is None else select(frame, focus, projection)
        frame.environment.trace(text(name(frame)) or "", seen)
    return focus


def now(frame: Frame, focus: Collection) -> Collection:
    return [Node(frame.now().isoformat(timespec="milliseconds"), DATETIME)]


def today(frame: Frame, focus: Collection) -> Collection:
    return [Node(frame.now().date().isoformat(), DATE)]


def time_of_day(frame: Frame, focus: Collection) -> Collection:
    return [Node(frame.now().time().isoformat(timespec="milliseconds"), TIME)]


def type_(frame: Frame, focus: Collection) -> Collection:
    frame.spend_many(len(focus))
    return [_reflected(node.type) for node in focus]


def _reflected(type_name: str) -> Node:
    if type_name.startswith("System."):
        name = type_name.removeprefix("System.")
        return Node({"namespace": "System", "name": name, "baseType": "System.Any"}, "System.SimpleTypeInfo")
    definition = r4().types.get(type_name)
    name = definition.base if definition is not None and definition.kind == "backbone" else type_name
    base = r4().types[name].base if name in r4().types else ""
    return Node(
        {"namespace": "FHIR", "name": name, "baseType": f"FHIR.{base}" if base else "System.Any"}, "System.ClassInfo"
    )
