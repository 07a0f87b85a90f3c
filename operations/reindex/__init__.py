"""$reindex: what stored resources are found by is made anew. https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import InvalidRequest, Job, Json, Operation, OperationContext

KIND = "reindex"  # the server's own, for it also reindexes by itself when search parameters come


async def one(context: OperationContext) -> Json:
    """Index one resource now and say what that changed: nothing, unless something is wrong or is just coming."""
    return await context.server.reindex(context.key)


async def all_of_type(context: OperationContext) -> Job:
    """Have a job index all resources of a type."""
    if context.parameters.all("type"):
        raise InvalidRequest("The URL says the type already.", location="http.type")
    return Job(KIND, {"types": [context.resource_type]})


async def all_of_system(context: OperationContext) -> Job:
    """Have a job index all resources, or those of some types."""
    known = context.server.resource_types
    types = context.parameters.texts("type")
    for name in types:
        if name not in known:
            raise InvalidRequest(f"There is no resource type {name[:64]!r}.", location="http.type")
    return Job(KIND, {"types": sorted(set(types) or known)})


OPERATION = Operation(
    definition=files(__name__) / "definition.json", instance=one, type=all_of_type, system=all_of_system
)
