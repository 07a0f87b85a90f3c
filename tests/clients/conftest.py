"""One real server on a socket for other people's clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import RunningServer, running_server


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that all clients share; each works on resources of its own."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server
