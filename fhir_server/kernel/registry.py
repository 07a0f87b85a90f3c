"""The registry: every operation that plugins declare, verified at start and then frozen.

Routes, parameter checks and the CapabilityStatement come from here. https://hl7.org/fhir/R4/operationdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from fhir_server.api.operation import Handler, JobHandler, Operation

Json = dict[str, Any]

GROUP = "fhir_server.operations"
LEVELS = ("system", "type", "instance")


class BadPlugin(Exception):
    """One or more plugins cannot be registered; `findings` has a line for each reason."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Registered:
    """One operation as the kernel knows it: its definition read, its name and plugin."""

    plugin: str
    code: str
    url: str
    definition: Json
    operation: Operation
    types: tuple[str, ...]

    @property
    def affects_state(self) -> bool:
        """Whether it may be called by POST only. https://hl7.org/fhir/R4/operationdefinition-definitions.html"""
        return bool(self.definition.get("affectsState", True))

    def handler(self, level: str) -> Handler | None:
        """Return the handler of a level: system, type or instance."""
        found: Handler | None = getattr(self.operation, level)
        return found


@dataclass(frozen=True)
class Registry:
    """All registered operations."""

    operations: tuple[Registered, ...] = ()
    _by_call: Mapping[tuple[str, str, str], Registered] = field(default_factory=dict)

    def find(self, code: str, level: str, resource_type: str) -> Registered | None:
        """Return the operation of that code on a level of a type; one declared for Resource holds for every type."""
        found = self._by_call.get((code, level, resource_type))
        return found or (self._by_call.get((code, level, "Resource")) if resource_type else None)

    def of_type(self, resource_type: str) -> list[Registered]:
        """Return the operations of one type, those for every type not among them."""
        return [o for o in self.operations if resource_type in o.types]

    def query(self, code: str, resource_type: str) -> Registered | None:
        """Return the named query of a type."""
        return next(
            (
                o
                for o in self.operations
                if o.code == code and o.operation.query is not None and {resource_type, "Resource"} & set(o.types)
            ),
            None,
        )

    def job(self, kind: str) -> JobHandler | None:
        """Return what runs jobs of a kind."""
        return next((o.operation.jobs[kind] for o in self.operations if kind in o.operation.jobs), None)


def discover() -> list[tuple[str, Operation]]:
    """Return the operations of all installed distributions, by entry point name."""
    return sorted(((e.name, _load(e)) for e in entry_points(group=GROUP)), key=lambda row: row[0])


def _load(entry: EntryPoint) -> Operation:
    loaded = entry.load()
    if not isinstance(loaded, Operation):
        raise BadPlugin([f"{entry.name}: {entry.value} is not an Operation"])
    return loaded


def build(operations: Iterable[tuple[str, Operation]], resource_types: frozenset[str]) -> Registry:
    """Verify operations and freeze them. Raises BadPlugin with all findings together."""
    findings: list[str] = []
    rows: list[Registered] = []
    calls: dict[tuple[str, str, str], Registered] = {}
    for plugin, operation in operations:
        row = _read(plugin, operation, resource_types, findings)
        if row is None:
            continue
        rows.append(row)
        for level in LEVELS:
            if row.handler(level) is None:
                continue
            for resource_type in ("",) if level == "system" else row.types:
                other = calls.setdefault((row.code, level, resource_type), row)
                if other is not row:
                    findings.append(f"{plugin}: ${row.code} on {resource_type or 'system'} is {other.plugin}'s already")
    if findings:
        raise BadPlugin(findings)
    return Registry(tuple(rows), calls)


def _read(plugin: str, operation: Operation, types: frozenset[str], findings: list[str]) -> Registered | None:
    try:
        definition: Json = msgspec.json.decode(operation.definition.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        findings.append(f"{plugin}: its OperationDefinition cannot be read ({error})")
        return None
    wrong = [name for name in ("url", "code", "name", "kind") if not definition.get(name)]
    resources = tuple(definition.get("resource", ()))
    wrong += [f"resource {r}" for r in resources if r not in types and r not in ("Resource", "DomainResource")]
    if (definition.get("kind") == "query") != (operation.query is not None):
        wrong.append("kind (definition and handler disagree)")
    for level in () if operation.query else LEVELS:
        if bool(definition.get(level)) != (getattr(operation, level) is not None):
            wrong.append(f"{level} (definition and handler disagree)")
    if wrong:
        findings.append(f"{plugin}: OperationDefinition is wrong or incomplete: {', '.join(wrong)}")
        return None
    return Registered(plugin, definition["code"], definition["url"], definition, operation, resources)
