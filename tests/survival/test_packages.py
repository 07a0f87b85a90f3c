"""kill -9 of workers while a package is installed: nothing of it is in force until another worker has done it whole."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.archives import CANONICAL, definition, manifest, package
from tests.running import running_server

pytestmark = [
    pytest.mark.survival,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processes are a server's"),
]

# Enough for an installation that can be killed in its middle.
DEFINITIONS = 6_000
LEASE_SECONDS = 30
NAME = "org.example.one"


def test_a_package_whose_workers_are_killed_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    colors = definition("ValueSet", "colors", status="active", compose={"include": [{"system": f"{CANONICAL}/c"}]})
    many = (definition(name=f"n{n}", note="x" * 4000) for n in range(DEFINITIONS))
    (tmp_path / "one.tgz").write_bytes(package(manifest(NAME), colors, *many))
    with (
        running_server(tmp_path, workers=2, FHIR_PACKAGE_DIR=str(tmp_path)) as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        started = http.post(f"$package-install?name={NAME}")
        assert started.status_code == 202, started.text
        job = started.headers["content-location"]
        until_it_writes(http, job)
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        shown, ended = [], time.monotonic() + LEASE_SECONDS + 60
        while (answer := again(http, job)).status_code == 202:
            shown.append(again(http, "$package-list").json().get("parameter", []))
            assert time.monotonic() < ended, "nobody goes on with the job"
            time.sleep(1)
        assert answer.status_code == 200, answer.text
        assert len(shown) > 5
        assert shown[:5] == [[]] * 5
        (package_,) = again(http, "$package-list").json()["parameter"]
        (resources,) = [part["valueInteger"] for part in package_["part"] if part["name"] == "resources"]
        assert resources == DEFINITIONS + 1


def until_it_writes(http: httpx.Client, job: str) -> None:
    """Wait until the job says that it has written some resources."""
    for _ in range(200):
        if "resources" in http.get(job).headers.get("x-progress", ""):
            return
        time.sleep(0.05)
    raise AssertionError("the job is over before it can be killed")


def again(http: httpx.Client, path: str) -> httpx.Response:
    """GET, however often the workers are gone."""
    for _ in range(100):
        try:
            return http.get(path)
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server does not come back")
