"""Ports are found by name; what is missing is said with what there is."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, cast

import pytest

from fhir_server.api import RemoteServer
from fhir_server.kernel import ports
from fhir_server.kernel.registry import BadPlugin


def _installed(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    known = EntryPoints([EntryPoint("local", value, ports.TERMINOLOGY)])
    monkeypatch.setattr(ports, "entry_points", lambda group: known.select(group=group))


def test_the_terminology_service_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "terminology:TERMINOLOGY")
    assert type(ports.terminology("local")).__name__ == "LocalTerminology"


def test_a_name_nobody_has_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "terminology:TERMINOLOGY")
    with pytest.raises(BadPlugin, match=r"fhir_server\.terminology: there is no 'remote'; installed: local"):
        ports.terminology("remote")


def test_a_plugin_that_is_no_terminology_service_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "terminology:__doc__")
    with pytest.raises(BadPlugin, match="has no expand, contains, check, below, above"):
        ports.terminology("local")


async def test_the_service_may_ask_another_server_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "terminology:TERMINOLOGY")
    remote = RemoteServer("http://elsewhere.test/fhir")
    service: Any = ports.terminology("local", remote)
    alone: Any = ports.terminology("local")
    assert (service.remote.server, alone.remote) == (remote, None)
    assert service.memory is alone.memory
    await ports.close(service)
    await ports.close(cast(Any, object()))


def test_a_service_that_asks_nobody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "tests.unit.kernel.test_ports:Alone")
    with pytest.raises(BadPlugin, match="leave FHIR_TERMINOLOGY_REMOTE out"):
        ports.terminology("local", RemoteServer("http://elsewhere.test/fhir"))


class Alone:
    """A terminology service as far as its methods are looked for."""

    expand = contains = check = below = above = staticmethod(print)
