"""Ports: one implementation of several, found by the name that the settings give.

https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from fhir_server.api.terminology import Terminology
from fhir_server.kernel.registry import BadPlugin

TERMINOLOGY = "fhir_server.terminology"


def terminology(name: str) -> Terminology:
    """Return the terminology service of that name. Raises BadPlugin where none is installed, naming those there are."""
    return cast(Terminology, _load(TERMINOLOGY, name, ("expand", "contains", "below", "above")))


def _load(group: str, name: str, methods: tuple[str, ...]) -> Any:
    found = entry_points(group=group)
    if name not in found.names:
        known = ", ".join(sorted(found.names)) or "none"
        raise BadPlugin([f"{group}: there is no {name!r}; installed: {known}"])
    loaded = found[name].load()
    missing = [method for method in methods if not callable(getattr(loaded, method, None))]
    if missing:
        raise BadPlugin([f"{name}: {found[name].value} has no {', '.join(missing)}"])
    return loaded
