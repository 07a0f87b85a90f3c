"""$package-remove: a package is in force no more. https://confluence.hl7.org/display/FHIR/NPM+Package+Specification"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Json, Operation, OperationContext
from operations.packages.answer import of_done


async def remove(context: OperationContext) -> Json:
    """Remove a package, all versions of it where none is named; not one that others depend on, unless forced to."""
    said = context.parameters
    name, version = said.one("name"), said.one("version") or ""
    return of_done(await context.server.packages.remove(name, version, force=bool(said.one("force"))))


OPERATION = Operation(definition=files(__package__) / "remove.json", system=remove)
