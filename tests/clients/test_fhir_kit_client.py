"""fhir-kit-client, from Node. https://github.com/Vermonster/fhir-kit-client"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningServer

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / "fhir-kit-client"
OLDEST_NODE = 20

pytestmark = [pytest.mark.clients, pytest.mark.engine]


@pytest.fixture(scope="session")
def node() -> str:
    """Return the path of node, with the client installed as the lock says."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("node and npm are not on the PATH")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"fhir-kit-client needs node {OLDEST_NODE}, and this is {version.strip()}")
    if not _is_current():
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"npm ci failed: {done.stderr.strip()[-300:]}")
    return program


def test_it_can_do_its_work(running: RunningServer, node: str) -> None:
    done = subprocess.run(
        [node, "fhir_kit.mjs", running.url], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    got: dict[str, Any] = {row["step"]: row["got"] for row in map(json.loads, done.stdout.splitlines())}

    assert done.stderr == ""
    assert got == {
        "capabilities": [True, True],
        "create": [201, "1"],
        "read": True,
        "update": "2",
        "patch": [False, "female", "3"],
        "vread": True,
        "history": ["3", "2", "1"],
        "transaction": ["201"] * 5,
        "pages": [2, 2, 1],
        "search by POST": [True],
        "compartment": 5,
        "reference": True,
        "deleted": 410,
        "unknown": 404,
    }


def _is_current() -> bool:
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["fhir-kit-client"]
    found = INSTALLED / "package.json"
    return found.exists() and json.loads(found.read_text())["version"] == wanted
