"""A job of reindexing that another worker takes up, and what it may then say that it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.api.operation import JobCancelled
from fhir_server.api.tenant import Scope
from fhir_server.interactions import reindexing
from fhir_server.interactions.reindexing import reindex
from fhir_server.interactions.request import Request
from fhir_server.interactions.services import Call
from fhir_server.testing.client import FhirClient, fhir_client
from tests.http.parameters.conftest import found, made, parameter, patient

Json = dict[str, Any]


class Progress:
    """Keeps what is saved, and loses its worker after some saves."""

    def __init__(self, checkpoint: Json | None = None, lives: int = 1_000) -> None:
        self.checkpoint: Json = checkpoint or {}
        self.messages: list[str] = []
        self._lives = lives

    async def save(self, checkpoint: Json, message: str) -> None:
        """Keep it, or be gone."""
        if message.startswith("waiting"):
            return
        if self._lives == 0:
            raise JobCancelled
        self._lives -= 1
        self.checkpoint = dict(checkpoint)
        self.messages.append(message)


@pytest.fixture
async def idle() -> AsyncIterator[FhirClient]:
    """A server that runs no jobs of its own."""
    async with fhir_client(reindex_grace_seconds="1") as client:
        for task in client.app._tasks:
            task.cancel()
        yield client


def calling(client: FhirClient) -> Call:
    services = client.app.services
    assert services is not None
    scope = Scope(services.following.tenants()[0])
    return Call(services, scope, "http://testserver/fhir", Request("POST", ()), services.store.records(scope))


async def test_it_goes_on_where_it_was(idle: FhirClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindexing, "FIRST_BATCH", 4)
    monkeypatch.setattr(reindexing, "BATCH", 4)
    monkeypatch.setattr(reindexing, "STRIDE", 6)
    await made(idle, *(patient(f"p{n}", "green") for n in range(10, 30)), parameter())
    given: Json = {"types": ["Patient"], "generation": 1}
    first = Progress(lives=2)
    with pytest.raises(JobCancelled):
        await reindex(calling(idle), given, first)
    assert (first.checkpoint["after"], first.checkpoint["seen"]) == ("Patient/p15", 6)
    await made(idle, patient("p00", "green"), patient("p99", "green"))

    second = Progress(first.checkpoint)
    result = await reindex(calling(idle), given, second)

    # Four were rewritten after the last save, and two written by the new parameters: nothing was left to do for these.
    assert [p["valueInteger"] for p in result["parameter"]] == [16, 16]
    assert second.messages[0] == "Patient, type 1 of 1: 6 resources, 6 changed"
    assert len(await found(idle, "Patient?eye-color=green")) == 22


async def test_what_came_into_force_meanwhile_is_not_said_to_be_indexed(
    idle: FhirClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexing, "FIRST_BATCH", 2)
    monkeypatch.setattr(reindexing, "BATCH", 2)
    await made(idle, *(patient(f"p{n}", "green", gender="male") for n in range(6)), parameter())
    first = Progress(lives=1)
    with pytest.raises(JobCancelled):
        await reindex(calling(idle), {"types": ["Patient"]}, first)
    await made(idle, parameter("sex", expression="Patient.gender"))

    await reindex(calling(idle), {"types": ["Patient"]}, Progress(first.checkpoint))

    customs = calling(idle).edition.customs
    assert {c.code: c.ready for c in customs} == {"eye-color": True, "sex": False}
    assert len(await found(idle, "Patient?eye-color=green")) == 6
    assert (await idle.get("Patient?sex=male", prefer="handling=strict")).status_code == 400
