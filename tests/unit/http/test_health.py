"""Health: alive is not ready, and not ready names the part that fails."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from fhir_server.http import health
from fhir_server.http.health import Check, health_router
from fhir_server.http.metrics import Metrics


async def passes() -> None:
    return


async def fails() -> None:
    raise ConnectionRefusedError("mongodb://admin:hunter2@db")


async def hangs() -> None:
    await asyncio.sleep(60)


async def get(path: str, **checks: Check) -> httpx.Response:
    app = FastAPI()
    app.include_router(health_router(checks, Metrics()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return await client.get(path)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_ready_when_every_part_answers(path: str) -> None:
    answer = await get(path, database=passes, keys=passes)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "failed": [], "components": {"database": "ok", "keys": "ok"}}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_not_ready_names_the_part_that_fails_and_quotes_nothing(path: str) -> None:
    answer = await get(path, database=fails, keys=passes)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "failed": ["database"],
        "components": {"database": "ConnectionRefusedError", "keys": "ok"},
    }


async def test_a_part_that_hangs_is_a_part_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
    answer = await get("/health/ready", database=hangs, queue=fails)
    assert answer.status_code == 503
    assert answer.json()["failed"] == ["database", "queue"]
    assert answer.json()["components"]["database"] == "no answer within 0.05 s"


async def test_alive_whatever_the_parts_do() -> None:
    answer = await get("/health/live", database=fails)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_metrics_are_in_prometheus_format() -> None:
    answer = await get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE fhir_requests_total counter" in answer.text
