"""CodeSystem/$load: a release of a code system is loaded in the background. See docs/guide/terminology.md."""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Job, Json, NotSupported, Operation, OperationContext, concepts_of
from terminology.loaders.formats import reader
from terminology.operations.load.running import run

KIND = "load-code-system"


async def load(context: OperationContext) -> Job:
    """Hand the release over to a job. Raises InvalidRequest at once for a format or a source that cannot be had."""
    if concepts_of(context.server.library) is None:
        raise NotSupported("This server keeps no concepts of code systems.")
    said = context.parameters
    wanted = str(said.one("format"))
    reader(wanted)
    source = str(said.one("source"))
    context.server.open_source(source)
    given: Json = {"source": source, "format": wanted, "lenient": said.one("lenient") is True}
    for name in ("system", "version", "module", "delimiter", "encoding"):
        given[name] = str(said.one(name) or "")
    given |= {"languages": list(said.all("language")), "columns": list(said.all("column"))}
    return Job(KIND, given)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=load, jobs={KIND: run})
