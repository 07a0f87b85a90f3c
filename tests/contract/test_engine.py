"""The embedded engine as a process: started, found, killed, started again. docs/guide/run-it.md"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from fhir_server.settings import Settings
from fhir_server.store.engine import Engine, running_engine
from fhir_server.store.engine_probe import free_port
from fhir_server.store.engine_programs import EngineError, find_program
from fhir_server.store.engine_state import State, read_state, start_time, write_state

pytestmark = pytest.mark.engine
PROGRAM = Settings.load().engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    started = Engine(tmp_path, program=PROGRAM, cache_mb=64)
    started.start()
    yield started
    started.stop()


def insert(url: str, key: int) -> None:
    with MongoClient[dict[str, int]](url) as client:
        client.test.kept.insert_one({"_id": key})


def keys(url: str) -> list[int]:
    with MongoClient[dict[str, int]](url) as client:
        return [row["_id"] for row in client.test.kept.find().sort("_id")]


def wait_until_alive(engine: Engine, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not engine.alive():
        assert time.monotonic() < deadline, f"the engine did not answer again within {seconds} s"
        time.sleep(0.02)


def test_it_is_a_writable_replica_set_that_answers_when_start_returns(engine: Engine) -> None:
    with MongoClient[dict[str, object]](engine.url) as client:
        hello = client.admin.command("hello")
    assert engine.alive()
    assert hello["isWritablePrimary"]
    assert hello["setName"] in ("fhir", "secantus")


def test_another_process_finds_the_running_engine(engine: Engine, tmp_path: Path) -> None:
    script = """
import pathlib, sys
from fhir_server.store.engine import running_engine
print(running_engine(pathlib.Path(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == engine.url


def test_a_stopped_engine_is_not_found_and_keeps_its_data_and_port(tmp_path: Path) -> None:
    with Engine(tmp_path, program=PROGRAM) as first:
        insert(first.url, 1)
        url = first.url
    assert running_engine(tmp_path) is None
    with Engine(tmp_path, program=PROGRAM) as second:
        assert keys(second.url) == [1]
        assert second.url == url


def test_a_killed_engine_comes_back_on_the_same_url_with_every_acknowledged_write(engine: Engine) -> None:
    url = engine.url
    for key in range(20):
        insert(url, key)
    os.kill(engine.pid, signal.SIGKILL)
    wait_until_alive(engine)
    assert engine.url == url
    assert keys(url) == list(range(20))


def test_it_survives_being_killed_again_and_again(engine: Engine) -> None:
    for key in range(3):
        insert(engine.url, key)
        os.kill(engine.pid, signal.SIGKILL)
        wait_until_alive(engine)
    assert keys(engine.url) == [0, 1, 2]


def test_a_directory_in_use_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is in use by another server; stop that one or take another directory"):
        Engine(tmp_path, program=PROGRAM).start()
    assert engine.alive()


def test_a_refused_start_can_be_tried_again_when_the_other_has_stopped(tmp_path: Path) -> None:
    second = Engine(tmp_path, program=PROGRAM)
    with Engine(tmp_path, program=PROGRAM), pytest.raises(EngineError):
        second.start()
    with second:
        assert second.alive()


def test_a_directory_of_one_program_is_refused_to_another(tmp_path: Path) -> None:
    write_state(tmp_path, State("mongod", 1))
    with pytest.raises(EngineError, match="holds data of mongod and FHIR_ENGINE asks for secantusd-py"):
        Engine(tmp_path, program="secantusd-py").start()


def test_a_stale_file_about_a_reused_pid_ends_nobody(tmp_path: Path) -> None:
    write_state(tmp_path, State(_program_in_use(), 1, os.getpid(), "long ago"))
    assert running_engine(tmp_path) is None
    with Engine(tmp_path, program=PROGRAM) as engine:
        assert engine.alive()


def test_half_a_state_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"program": "secant', encoding="utf-8")
    assert read_state(tmp_path) is None


def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / _program_in_use()).mkdir()
    (tmp_path / _program_in_use() / "WiredTiger.turtle").write_bytes(b"not a database")
    with pytest.raises(EngineError, match=r"ended at once; .*engine\.log"):
        Engine(tmp_path, program=PROGRAM, patience=20).start()
    assert read_state(tmp_path) is not None


def test_the_engine_of_a_killed_supervisor_is_taken_over(tmp_path: Path) -> None:
    supervisor, engine_pid = _supervisor(tmp_path)
    supervisor.kill()
    supervisor.wait()
    with Engine(tmp_path, program=PROGRAM) as engine:
        assert keys(engine.url) == [7]
        assert engine.pid != engine_pid


def test_an_engine_that_outlived_its_supervisor_is_ended_first(tmp_path: Path) -> None:
    with Engine(tmp_path, program=PROGRAM) as engine:
        insert(engine.url, 7)
    program, port = find_program(PROGRAM), free_port()
    orphan = subprocess.Popen(program.command(tmp_path, port, 64))
    write_state(tmp_path, State(program.name, port, orphan.pid, start_time(orphan.pid)))
    with Engine(tmp_path, program=PROGRAM) as engine:
        assert orphan.wait() == -signal.SIGKILL
        assert keys(engine.url) == [7]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_an_engine_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    supervisor, _ = _supervisor(tmp_path)
    state = read_state(tmp_path)
    assert state
    supervisor.kill()
    supervisor.wait()
    deadline = time.monotonic() + 5
    while state.is_running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not state.is_running()


def _program_in_use() -> str:
    return find_program(PROGRAM).name


def _supervisor(directory: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a process that supervises an engine holding key 7; return it and the engine's pid."""
    script = """
import pathlib, sys, time
from pymongo import MongoClient
from fhir_server.store.engine import Engine
engine = Engine(pathlib.Path(sys.argv[1]), program=sys.argv[2])
engine.start()
MongoClient(engine.url).test.kept.insert_one({"_id": 7})
print(engine.pid, flush=True)
time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", script, directory, PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        return process, int(process.stdout.readline())
