"""make demo as a visitor meets it: every line it says to try works, and stopping and starting keeps the data."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def is_installed() -> bool:
    """Whether the operations that plugins bring can be found."""
    try:
        return bool(distribution("fhir-server").entry_points)
    except PackageNotFoundError:
        return False


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl, which the demo's lines use, is not installed"),
    pytest.mark.skipif(
        not is_installed(), reason="the project is not installed (`make setup`), so plugins are not found"
    ),
]


@contextmanager
def demo(data: Path) -> Iterator[str]:
    """Run the demo on a free port; yield what it said when it was ready."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FHIR_") or k == "FHIR_ENGINE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_server", "demo", "--data", str(data), "--port", "0"],
        cwd=ROOT,
        env=environment | {"COLUMNS": "80"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        said = ""
        while (line := process.stdout.readline()) and "/health/ready" not in line:
            said += line
        yield said + line
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(30) == 0


def commands(said: str) -> list[str]:
    return re.findall(r"^curl (?:.*\\\n)*.*", said, re.MULTILINE)


def run(command: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command.replace("curl -s", "curl -s --fail-with-body")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[:2000]}"
    return done.stdout


def test_every_line_works_and_the_data_is_kept(tmp_path: Path) -> None:
    with demo(tmp_path) as said:
        assert "249 records loaded" in said
        lines = commands(said)
        assert len(lines) == 9
        answers = [run(line) for line in lines]
        assert [re.search(r'"resourceType":"(\w+)"', answer)[1] for answer in answers[:-1]] == [  # type: ignore[index]
            *("Patient", "Bundle", "Bundle", "Bundle", "Bundle", "Patient", "OperationOutcome", "CapabilityStatement")
        ]
        assert '"status":"ok"' in answers[-1]
        made = re.search(r'"id":"([^"]+)"', answers[5])
        assert made
    with demo(tmp_path) as said:
        assert "the clinic's records are there already" in said
        url = re.search(r"http://\S+/fhir", said)
        assert url
        assert httpx.get(f"{url[0]}/Patient/{made[1]}").status_code == 200


def test_it_answers_again_when_a_worker_or_the_database_is_killed(tmp_path: Path) -> None:
    with demo(tmp_path) as said:
        found = re.search(r"at (http://\S+)\nprocess \d+, workers (\d+), database \S+ \(process (\d+)\)", said)
        assert found
        patient = f"{found[1]}/Patient/amara-okafor"
        before = httpx.get(patient).content
        for pid in (found[2], found[3]):
            os.kill(int(pid), signal.SIGKILL)
            assert ask_until_there(patient) == before


def ask_until_there(url: str, seconds: float = 30) -> bytes:
    """Ask as a client does that knows 503: again after a moment. No other refusal is right."""
    deadline = time.monotonic() + seconds
    while True:
        answer = httpx.get(url, timeout=seconds)
        if answer.status_code == 200:
            return answer.content
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, f"still unavailable after {seconds} s"
        time.sleep(0.1)
