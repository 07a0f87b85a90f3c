"""sekmet-fhir plays a hospital against the server. https://pypi.org/project/sekmet-fhir/"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import RunningServer

PROGRAM = "from sekmet.cli import app; app()"
pytestmark = [pytest.mark.clients, pytest.mark.engine]


def test_its_conformance_smoke_test_passes(running: RunningServer, tmp_path: Path) -> None:
    settings = {"db_path": str(tmp_path / "sekmet.db"), "peers": {"ours": {"base_url": running.url}}}
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))  # YAML holds all of JSON
    options = ["--peer", "ours", "--no-serve", "--report-dir", "reports", "--config", "settings.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "scenario", "run", "conformance_smoke", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    (report,) = (tmp_path / "reports").rglob("*.json")
    (result,) = json.loads(report.read_text())
    others = {step["name"]: step["message"] for step in result["steps"] if step["status"] != "passed"}
    assert others == {}
    assert done.returncode == 0
