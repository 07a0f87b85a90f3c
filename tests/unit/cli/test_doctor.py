"""Doctor: every finding has a way out, and the exit code says whether anything is wrong."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_server.cli.commands import app
from fhir_server.store.engine_state import State, write_state


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FHIR_ENGINE", "FHIR_TEST_MONGODB_URL"):
        monkeypatch.delenv(name, raising=False)


def examine(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    return done.exit_code, {row["subject"]: row for row in json.loads(done.stdout)}


def test_a_good_setup_is_good(tmp_path: Path) -> None:
    code, found = examine("--data", str(tmp_path / "new"), "--port", "0")
    assert code == 0
    assert [row["subject"] for row in found.values() if row["verdict"] == "wrong"] == []
    assert list(found) == ["settings", "python", "data", "engine", "database", "plugins", "port"]
    assert not (tmp_path / "new").exists()


def test_wrong_settings_are_all_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PRT", "1")
    monkeypatch.setenv("FHIR_WORKERS", "0")
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "FHIR_PRT: no such setting; remove it, or did you mean FHIR_PORT?" in done.stdout
    assert "FHIR_WORKERS: '0' (int) must be at least 1" in done.stdout


def test_a_taken_port_is_wrong(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, found = examine("--data", str(tmp_path), "--port", str(port))
    assert code == 1
    assert found["port"] == {
        "subject": "port",
        "verdict": "wrong",
        "detail": f"127.0.0.1 port {port}: Address already in use",
        "way_out": "stop the server that has it (it may be ours), or choose another with --port",
    }


def test_a_data_folder_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, found = examine("--data", str(tmp_path / "file"), "--port", "0")
    assert code == 1
    assert found["data"]["detail"] == f"{tmp_path / 'file'} cannot be written"


def test_data_of_another_engine_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(tmp_path, State("mongod", 1))
    monkeypatch.setenv("FHIR_ENGINE", "secantusd-py")
    code, found = examine("--data", str(tmp_path), "--port", "0")
    assert code == 1
    assert found["engine"]["detail"] == f"{tmp_path} holds data of mongod and FHIR_ENGINE asks for secantusd-py"


def test_a_mongodb_that_does_not_answer_is_wrong_and_its_url_is_not_shown() -> None:
    code, found = examine("--mongodb", "mongodb://admin:hunter2@127.0.0.1:1/?directConnection=true", "--port", "0")
    assert code == 1
    assert found["database"]["detail"] == "no answer (ServerSelectionTimeoutError)"
    assert "hunter2" not in json.dumps(found)
    assert "engine" not in found
