"""/health, /health/live, /health/ready and /metrics, for whoever keeps the server running. docs/guide/run-it.md

live: the process answers. ready (and /health): every part it needs answers too; 503 names those that do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from fhir_server.http.metrics import Metrics

CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[object]]


def health_router(checks: Mapping[str, Check], metrics: Metrics) -> APIRouter:
    """Return the routes. A check of `checks` (by component name) passes by returning and fails by raising."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def live() -> JSONResponse:
        """The process answers."""
        return _uncached({"status": "ok"}, 200)

    @router.get("/health")
    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        """Every component answers; 503 and their names if some do not."""
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        components = dict(zip(checks, outcomes, strict=True))
        failed = [name for name, outcome in components.items() if outcome != "ok"]
        status = {"status": "unavailable" if failed else "ok", "failed": failed, "components": components}
        return _uncached(status, 503 if failed else 200)

    @router.get("/metrics")
    def exposition() -> Response:
        """Counts and times in Prometheus' format; summed over all workers."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part, the answer names the part
        return type(error).__name__
    return "ok"


def _uncached(content: Mapping[str, object], status: int) -> JSONResponse:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})
