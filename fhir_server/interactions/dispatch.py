"""From a route to the interaction that serves it. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from fhir_server.api.ports import Answer
from fhir_server.fhir.json import decode_stored
from fhir_server.interactions.batch import batch_or_transaction
from fhir_server.interactions.capabilities import Known, capabilities
from fhir_server.interactions.create import create
from fhir_server.interactions.delete import conditional_delete, delete
from fhir_server.interactions.drafting import issues_of
from fhir_server.interactions.entries import WRITES, StatusOf
from fhir_server.interactions.history import history
from fhir_server.interactions.hosting import Host, job_cancel, job_status
from fhir_server.interactions.operation import operation
from fhir_server.interactions.patch import conditional_patch, patch
from fhir_server.interactions.read import read, vread
from fhir_server.interactions.route import Route
from fhir_server.interactions.search import search
from fhir_server.interactions.services import Call
from fhir_server.interactions.update import conditional_update, update

Interaction = Callable[[Call, Route], Awaitable[Answer]]

PLAIN: dict[str, Interaction] = {
    "read": read,
    "vread": vread,
    "create": create,
    "update": update,
    "conditional-update": conditional_update,
    "patch": patch,
    "conditional-patch": conditional_patch,
    "delete": delete,
    "conditional-delete": conditional_delete,
    "history-instance": history,
    "history-type": history,
    "history-system": history,
    "search-type": search,
    "search-system": search,
    "search-compartment": search,
    "job-status": job_status,
    "job-cancel": job_cancel,
}


class Dispatcher:
    """Serves calls; one for the server."""

    def __init__(self, status_of: StatusOf) -> None:
        self._status_of = status_of
        self._host = Host(self.perform)
        self._capabilities: Known = {}

    @property
    def host(self) -> Host:
        """What operations run in."""
        return self._host

    async def perform(self, call: Call, route: Route) -> Answer:
        """Serve one interaction."""
        plain = PLAIN.get(route.interaction)
        if plain is not None:
            answer = await plain(call, route)
            return await _advised(call, answer) if call.request.returning == "OperationOutcome" else answer
        if route.interaction == "operation":
            return await operation(call, route, self._host)
        if route.interaction == "capabilities":
            return await capabilities(call, self._capabilities)
        return await batch_or_transaction(call, self.perform, self._status_of)


async def _advised(call: Call, answer: Answer) -> Answer:
    """Return the answer of a write with what $validate would tell of the resource: who asks for an outcome reads it."""
    if call.request.method not in WRITES or not (answer.key and answer.body):
        return answer
    issues = await issues_of(call, decode_stored(answer.body), advice=True)
    return replace(answer, advice=tuple(issues))
