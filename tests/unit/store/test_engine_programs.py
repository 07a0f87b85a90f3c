"""The programs that can be the embedded engine: command lines, URLs, and the replica set of a mongod."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from fhir_server.store import engine_programs
from fhir_server.store.engine_programs import EngineError, Program, find_program


class FakeMongod:
    """Answers replSet* commands like a mongod that holds `config` (None: never initiated)."""

    def __init__(self, config: dict[str, Any] | None) -> None:
        self.config = config
        self.sent: list[tuple[object, ...]] = []
        self.admin = self

    def command(self, name: str, value: object = 1, **more: object) -> dict[str, Any]:
        if name != "replSetGetConfig":
            self.sent.append((name, value, more))
            return {}
        if self.config is None:
            raise OperationFailure("no replset config has been received", 94)
        return {"config": self.config}


def prepare(config: dict[str, Any] | None) -> list[tuple[object, ...]]:
    fake = FakeMongod(config)
    Program("mongod", Path("mongod")).prepare(cast(MongoClient[dict[str, Any]], fake), 4711)
    return fake.sent


@pytest.mark.parametrize("name", ["secantusd-rs", "secantusd-py"])
def test_secantus_syncs_every_commit_listens_on_loopback_and_reads_no_file_of_the_user(
    tmp_path: Path, name: str
) -> None:
    command = Program(name, Path("/bin/it")).command(tmp_path, 4711, 256)
    assert command == [
        *("/bin/it", "--config", str(tmp_path / "engine.toml"), "--host", "127.0.0.1", "--port", "4711"),
        *("--storage-path", str(tmp_path / name), "--cache-size", "256M"),
        *("--log-level", "WARNING", "--sync-on-commit"),
    ]
    assert (tmp_path / "engine.toml").read_text(encoding="utf-8") == ""


def test_mongod_is_a_replica_set_on_loopback_with_journaled_majority_writes(tmp_path: Path) -> None:
    mongod = Program("mongod", Path("/bin/mongod"))
    command = mongod.command(tmp_path, 4711, 512)
    assert " ".join(command) == (
        f"/bin/mongod --dbpath {tmp_path}/mongod --bind_ip 127.0.0.1 --port 4711 "
        "--replSet fhir --wiredTigerCacheSizeGB 0.50 --quiet"
    )
    assert (tmp_path / "mongod").is_dir()
    assert mongod.url(4711) == "mongodb://127.0.0.1:4711/?directConnection=true&w=majority&journal=true"


def test_a_new_mongod_is_initiated() -> None:
    member = {"_id": 0, "host": "127.0.0.1:4711"}
    assert prepare(None) == [("replSetInitiate", {"_id": "fhir", "members": [member]}, {})]


def test_a_mongod_on_its_old_port_is_left_alone() -> None:
    assert prepare({"version": 3, "members": [{"_id": 0, "host": "127.0.0.1:4711"}]}) == []


def test_a_mongod_on_a_new_port_is_told_so() -> None:
    sent = prepare({"_id": "fhir", "version": 3, "members": [{"_id": 0, "host": "127.0.0.1:1", "priority": 1}]})
    members = [{"_id": 0, "host": "127.0.0.1:4711", "priority": 1}]
    assert sent == [("replSetReconfig", {"_id": "fhir", "version": 4, "members": members}, {"force": True})]


def test_another_failure_of_a_mongod_is_not_hidden() -> None:
    class Refusing(FakeMongod):
        def command(self, name: str, value: object = 1, **more: object) -> dict[str, Any]:
            raise OperationFailure("not authorized", 13)

    with pytest.raises(OperationFailure, match="not authorized"):
        Program("mongod", Path()).prepare(cast(MongoClient[dict[str, Any]], Refusing(None)), 1)


def test_the_first_program_found_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mongod", "secantusd-rs"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() == Program("mongod", tmp_path / "mongod")
    assert find_program("secantusd-rs") == Program("secantusd-rs", tmp_path / "secantusd-rs")
    (tmp_path / "mongod").unlink()
    assert find_program() == Program("secantusd-rs", tmp_path / "secantusd-rs")


def test_a_program_that_is_not_there_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr(engine_programs, "_CHECKOUT", tmp_path)
    with pytest.raises(
        EngineError, match=r"^the engine mongod is not on the PATH; install MongoDB, or leave FHIR_ENGINE"
    ):
        find_program("mongod")
    with pytest.raises(EngineError, match=r"^no embedded engine found: run `make setup`"):
        find_program()
