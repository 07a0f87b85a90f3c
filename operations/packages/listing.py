"""$package-list: the packages in force for the tenant, and what they hold.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Json, NotFound, Operation, OperationContext
from operations.packages.answer import of_package, parameters


async def packages(context: OperationContext) -> Json:
    """Return every package; of one that is named also what its resources are found by."""
    packaging, name = context.server.packages, context.parameters.one("name")
    installed = await packaging.installed()
    wanted = [package for package in installed if name in (None, package.name)]
    if name is not None and not wanted:
        raise NotFound(f"The package {name[:100]} is not installed.")
    rows = []
    for package in wanted:
        contents = await packaging.contents(package) if name is not None else []
        rows.append(of_package(package, packaging.needs(package, installed), contents))
    return parameters(rows)


OPERATION = Operation(definition=files(__package__) / "list.json", system=packages)
