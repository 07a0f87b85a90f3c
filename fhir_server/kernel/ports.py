"""Ports: one implementation of several, found by the name that the settings give.

https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from fhir_server.api.terminology import RemoteServer, Terminology
from fhir_server.kernel.registry import BadPlugin

TERMINOLOGY = "fhir_server.terminology"


def terminology(name: str, remote: RemoteServer | None = None) -> Terminology:
    """Return the terminology service of that name, which asks the remote server about what it does not know.

    Raises BadPlugin where none is installed, naming those there are, and where it cannot ask another server.
    """
    found = _load(TERMINOLOGY, name, ("expand", "contains", "check", "below", "above"))
    if remote is None:
        return cast(Terminology, found)
    if not callable(getattr(found, "with_remote", None)):
        raise BadPlugin([f"{name}: this terminology service asks no other server; leave FHIR_TERMINOLOGY_REMOTE out"])
    return cast(Terminology, found.with_remote(remote))


async def close(service: Terminology) -> None:
    """Let a terminology service give back what it holds, if it holds anything."""
    closing = getattr(service, "close", None)
    if callable(closing):
        await closing()


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
