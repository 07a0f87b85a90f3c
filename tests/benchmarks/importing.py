"""$import of NDJSON against what the database takes for the very same documents, 500 a command as the server does."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path

from fhir_server.store.documents import RESOURCES, Json
from fhir_server.store.driver import DURABLE
from fhir_server.store.mongo import connect
from tests.benchmarks.load import ask, request
from tests.benchmarks.measuring import Cost, Row
from tests.benchmarks.patients import observation
from tests.benchmarks.processes import cpu_seconds, ruler

COUNT = 10_000
BATCH = 500
MARK = "bench-import-"
PATIENCE_SECONDS = 120


async def measure_import(folder: Path, port: int, worker: int, engine: int, url: str, database: str) -> Row:
    """Import COUNT observations from a file in the folder the server may read, then insert them again as they lie."""
    path = folder / "observations.ndjson"
    _write(path)
    server = Cost(requests=COUNT)
    scale, before, began = ruler(), (cpu_seconds([worker]), cpu_seconds([engine])), time.monotonic()
    await _import(port, path)
    server.seconds = time.monotonic() - began
    _account(server, scale, before, (cpu_seconds([worker]), cpu_seconds([engine])))
    limit = await _insert_again(url, database, engine)
    return Row("$import of NDJSON, each resource", 0, limit, server)


def _write(path: Path) -> None:
    chance = random.Random(3)
    rows = (observation(f"Patient/{n // 110}", n % 110, chance) | {"id": f"{MARK}{n}"} for n in range(COUNT))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


async def _import(port: int, path: Path) -> None:
    parts = [{"name": "type", "valueCode": "Observation"}, {"name": "url", "valueUrl": path.as_uri()}]
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "inputFormat", "valueCode": "application/fhir+ndjson"},
            {"name": "inputSource", "valueUri": "https://bench.example"},
            {"name": "input", "part": parts},
        ],
    }
    status, body = await ask(port, request("POST", "/fhir/$import", json.dumps(asked).encode()))
    if status != 202:
        raise ValueError(f"the import was refused: {body[:300].decode(errors='replace')}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await _count(port) < COUNT:
        if time.monotonic() > deadline:
            raise ValueError("the import does not end")
        await asyncio.sleep(0.2)


async def _count(port: int) -> int:
    last = request("GET", f"/fhir/Observation/{MARK}{COUNT - 1}")
    status, _ = await ask(port, last)
    return COUNT if status == 200 else 0


async def _insert_again(url: str, database: str, engine: int) -> Cost:
    """Insert the imported documents under other ids, by this process."""
    driver = await connect(url)
    first, last = f"Observation/{MARK}", f"Observation/{MARK}\uffff"
    found = await driver.find(database, RESOURCES, {"_id": {"$gte": first, "$lt": last}}, {}, COUNT)
    copies: list[Json] = [{**row, "_id": f"{row['_id']}-again"} for row in found]
    cost = Cost(requests=len(copies))
    scale, before, began = ruler(), (cpu_seconds([os.getpid()]), cpu_seconds([engine])), time.monotonic()
    for start in range(0, len(copies), BATCH):
        batch = copies[start : start + BATCH]
        command = {"insert": RESOURCES, "documents": batch, "ordered": False, "writeConcern": DURABLE}
        await driver.command(database, command)
    cost.seconds = time.monotonic() - began
    _account(cost, scale, before, (cpu_seconds([os.getpid()]), cpu_seconds([engine])))
    await driver.close()
    return cost


def _account(cost: Cost, scale: float, before: tuple[float, float], after: tuple[float, float]) -> None:
    """Fill in the CPU for each resource, in microseconds of the ruler's machine."""
    scale = (scale + ruler()) / 2
    cost.process = (after[0] - before[0]) / scale * 1e6 / cost.requests
    cost.database = (after[1] - before[1]) / scale * 1e6 / cost.requests
