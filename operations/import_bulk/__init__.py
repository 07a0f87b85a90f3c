"""$import: NDJSON files fetched and written in the background, of any size.

After the Argonaut draft of bulk import: https://github.com/smart-on-fhir/bulk-import
"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Job, Operation, OperationContext
from operations.import_bulk.asked import read_asked
from operations.import_bulk.running import run

KIND = "import-bulk"


async def import_bulk(context: OperationContext) -> Job:
    """Hand the files over to a job. Resources keep their ids, so that files that come again change nothing."""
    return Job(KIND, read_asked(context))


OPERATION = Operation(definition=files(__name__) / "definition.json", system=import_bulk, jobs={KIND: run})
