"""How a search is answered: it is run on the database, and every command it sends is explained. docs/guide/search.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.api.errors import InvalidRequest
from fhir_server.app import call_of
from fhir_server.fhir.json import decode_stored
from fhir_server.interactions.request import Request
from fhir_server.interactions.route import route
from fhir_server.interactions.search import search
from fhir_server.settings import Settings
from fhir_server.store.driver import DatabaseError, Driver
from fhir_server.store.tracing import Explained, Step, TracingDriver


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a search was answered: its commands with what the database says of each, and what came of it."""

    steps: tuple[tuple[Step, Explained | None], ...]
    matches: int
    warnings: tuple[str, ...]
    is_tested: bool


async def explain_search(
    settings: Settings, tenant_name: str, path: str, query: Sequence[tuple[str, str]]
) -> Explanation:
    """Run one search on the database of the settings, without a server, and say how it was answered.

    Raises NotFound for an unknown tenant, and what the search itself raises.
    """
    tracing: list[TracingDriver] = []

    def watched(driver: Driver) -> Driver:
        tracing.append(TracingDriver(driver))
        return tracing[0]

    async with call_of(settings, tenant_name, watched) as unasked:
        (driver,) = tracing
        asked = Request("GET", tuple(path.split("/")) if path else (), tuple(query))
        call = replace(unasked, request=asked)
        wanted = route("GET", asked.path, call.services.definitions.resource_types)
        if not wanted.interaction.startswith("search"):
            raise InvalidRequest(f"{path} is no search: write Observation?code=1234 or Patient/1/Observation?...")
        driver.steps.clear()
        answer = await search(call, wanted)
        steps = tuple(driver.steps)
        planned = call.planner.parser.parse(wanted.type, query, strict=False)
        plan = await call.planner.plan(planned, call.searching())
        told = [(step, await _told(driver, step)) for step in steps]
    rows = decode_stored(answer.body).get("entry", [])
    return Explanation(
        tuple(told),
        sum(row["search"]["mode"] == "match" for row in rows),
        tuple(issue.diagnostics for issue in planned.issues),
        plan.test is not None,
    )


async def _told(driver: TracingDriver, step: Step) -> Explained | None:
    try:
        return await driver.explain(step)
    except DatabaseError:
        return None
