"""$graphql: a GraphQL query on one resource, or on the whole system. https://hl7.org/fhir/R4/graphql.html"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Content, Deleted, Failure, Json, NotFound, Operation, OperationContext, decode_stored
from operations.graphql.answer import answer, refusal
from operations.graphql.asked import read_asked
from operations.graphql.document import read_document
from operations.graphql.execution import Execution
from operations.graphql.filters import Filters
from operations.graphql.loading import Loader
from operations.graphql.plan import Planner
from operations.graphql.refusals import Refused
from operations.graphql.searches import Searches
from operations.graphql.selections import NO_TYPE


async def graphql(context: OperationContext) -> Content:
    """Answer a query that begins at one resource, or at the system where there is none.

    A query is answered whole or not at all: a mistake, a limit passed or a reference that leads nowhere gives errors
    and no data.
    """
    try:
        return answer(await _data(context))
    except Refused as refused:
        return refusal(refused.failure, refused.places)
    except Failure as failure:
        return refusal(failure)


async def _data(context: OperationContext) -> Json:
    document = read_document(read_asked(context))
    filters = Filters(context.server.now())
    searches = Searches(context.server, filters)
    planner = Planner(document, filters, searches)
    plan = planner.top(context.resource_type or NO_TYPE)
    resource = await _resource(context) if context.resource_id else {}
    return await Execution(planner, Loader(context, searches)).run(plan, resource)


async def _resource(context: OperationContext) -> Json:
    found = await context.records.read(context.key)
    if found is None:
        raise NotFound(f"There is no {context.key}.")
    if found.deleted:
        raise Deleted(f"{context.key} was deleted.", version=found.version)
    resource: Json = decode_stored(found.raw)
    return resource


OPERATION = Operation(definition=files(__name__) / "definition.json", system=graphql, instance=graphql, reads_body=True)
