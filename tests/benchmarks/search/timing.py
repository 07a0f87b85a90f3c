"""One query at a time over one connection: how long a client waits when nobody else asks, and the CPU it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from tests.benchmarks.load import ask, one_by_one, request
from tests.benchmarks.processes import cpu_seconds, ruler
from tests.benchmarks.search.queries import Query

Json = dict[str, Any]

DEEP_FROM, DEEP_PAGES = 50, 10
WARM_UP = 0.3
LEAST = 5
_STRICT = "Prefer: handling=strict\r\n"


@dataclass(frozen=True, slots=True)
class Timing:
    """What a query took at one size. CPU is in ruler-scaled microseconds a request, p50 and p95 are milliseconds.

    `matches` is what the server counts for the first target, `entries` what its first page holds. `wrong` says what
    came instead of the answer that the data must give; then there is nothing else.
    """

    name: str
    matches: int = 0
    entries: int = 0
    p50: float = 0.0
    p95: float = 0.0
    process: float = 0.0
    database: float = 0.0
    requests: int = 0
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The server that is asked: its port and process, and the database's process, 0 when it is elsewhere."""

    port: int
    process: int
    database: int = 0


async def time_query(query: Query, place: Place, seconds: float) -> Timing:
    """Time one query, after a look whether its answer is right."""
    try:
        found = await _checked(query, place.port)
        if found.wrong:
            return found
        targets = await _deep(query.targets[0], place.port) if query.deep else query.targets
        requests = [_get(target) for target in targets]
        await one_by_one(place.port, requests, WARM_UP)
        slowness, before = ruler(), _cpu(place)
        taken = await one_by_one(place.port, requests, seconds, LEAST)
        after, slowness = _cpu(place), (slowness + ruler()) / 2
    except ValueError as error:
        return Timing(query.name, wrong=str(error))
    process, database = ((b - a) / slowness * 1e6 / len(taken) for a, b in zip(before, after, strict=True))
    p50, p95 = (1000 * taken[int(len(taken) * part)] for part in (0.5, 0.95))
    return replace(found, p50=p50, p95=p95, process=process, database=database, requests=len(taken))


async def _checked(query: Query, port: int) -> Timing:
    first = query.targets[0]
    answer = await _answer(port, first)
    if "?" not in first:
        return Timing(query.name, 1)
    entries = len(answer.get("entry", ()))
    matches = (await _answer(port, f"{first}&_summary=count"))["total"]
    wrong = ""
    if query.matches is not None and matches != query.matches:
        wrong = f"{matches} are counted, where {query.matches} were loaded"
    elif answer.get("total", matches) != matches or (entries == 0 and "_summary" not in first):
        wrong = f"{entries} entries, a total of {answer.get('total')}, and {matches} are counted"
    return Timing(query.name, matches, entries, wrong=wrong)


async def _deep(target: str, port: int) -> list[str]:
    """Follow the links to the fiftieth page and those after it; in a small clinic to the last ones there are."""
    links: list[str] = []
    next_link: str | None = target
    while next_link and len(links) < DEEP_FROM + DEEP_PAGES - 1:
        links.append(next_link)
        answer = await _answer(port, next_link)
        url = next((one["url"] for one in answer["link"] if one["relation"] == "next"), None)
        next_link = url.partition("/fhir/")[2] if url else None
    return links[-DEEP_PAGES:]


async def _answer(port: int, target: str) -> Json:
    status, body = await ask(port, _get(target))
    answer: Json = json.loads(body)
    if status != 200:
        raise ValueError(f"{status} {answer['issue'][0].get('diagnostics', '')[:200]}")
    return answer


def _get(target: str) -> bytes:
    return request("GET", f"/fhir/{target}", more=_STRICT)


def _cpu(place: Place) -> tuple[float, float]:
    return cpu_seconds([place.process]), cpu_seconds([place.database]) if place.database else 0.0
