"""The limit: what the HTTP server and the database do alone. A bare ASGI app, one driver call a request.

https://asgi.readthedocs.io/en/latest/specs/www.html. No FHIR: queries and documents are made beforehand (BENCH_PLAN, a
JSON file), bytes come out of the database as they are and are joined, bodies are received and thrown away.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from fhir_server.store.documents import INDEXES, RESOURCES, SHOWN
from fhir_server.store.driver import DURABLE, Driver
from fhir_server.store.mongo import connect

Json = dict[str, Any]
DATABASE = "limit"
SAMPLES = 500


class Limit:
    """`GET /find/<n>` runs the plan's n-th query; `POST /insert/<n>` inserts n documents such as the server made."""

    def __init__(self) -> None:
        plan = json.loads(Path(os.environ["BENCH_PLAN"]).read_text(encoding="utf-8"))
        self._url: str = plan["url"]
        self._database: str = plan["database"]
        self._queries: list[Json] = plan["queries"]
        self._driver: Driver

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await receive()
            await self._start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._driver.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        _, work, number = scope["path"].split("/")
        body = await (self._find(int(number)) if work == "find" else self._insert(int(number)))
        headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _start(self) -> None:
        self._driver = await connect(self._url)
        samples = await self._driver.find(self._database, RESOURCES, {"y": "Observation"}, {}, SAMPLES)
        self._samples = itertools.cycle(samples)
        await self._driver.command(DATABASE, {"createIndexes": RESOURCES, "indexes": INDEXES[RESOURCES]})

    async def _find(self, number: int) -> bytes:
        q = self._queries[number]
        found = await self._driver.find(self._database, RESOURCES, q["filter"], SHOWN, q["limit"], q["sort"])
        joined = b'},{"resource":'.join(d["raw"] for d in found[: q["shown"]])
        return b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":' + joined + b"}]}"

    async def _insert(self, count: int) -> bytes:
        documents = [{**next(self._samples), "_id": f"Observation/{uuid4()}"} for _ in range(count)]
        command = {"insert": RESOURCES, "documents": documents, "ordered": False, "writeConcern": DURABLE}
        reply = await self._driver.command(DATABASE, command)
        return b'{"n":%d}' % reply["n"]


app = Limit()
