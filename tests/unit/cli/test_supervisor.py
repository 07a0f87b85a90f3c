"""The supervisor as people and orchestrators meet it: processes killed, signals sent, ports taken."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fhir_server.store.engine_state import read_state, start_time

SCRIPT = """
import dataclasses, json, os, sys
from fhir_server.cli.failing import clear_failures
from fhir_server.cli.supervisor import Supervisor
from fhir_server.http.logs import configure_logging
from fhir_server.settings import Settings
settings = Settings.load()
configure_logging(settings)
ready = lambda running: print(json.dumps(dataclasses.asdict(running)), flush=True)
with clear_failures():
    Supervisor(settings, ready, app=sys.argv[1]).run()
"""
DATABASE = {"FHIR_MONGODB_URL": "mongodb://127.0.0.1:1"}  # nobody asks it anything
Start = Callable[..., "Server"]


class Server:
    """A supervisor in a process of its own."""

    def __init__(self, app: str, **settings: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FHIR_") or k == "FHIR_ENGINE"}
        path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, app],
            env=environment | {"FHIR_PORT": "0", "PYTHONPATH": path} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said = ""

    def ready(self) -> Server:
        assert self.process.stdout
        self.running = json.loads(self.process.stdout.readline())
        return self

    @property
    def url(self) -> str:
        return str(self.running["url"])

    def ask(self, path: str = "/") -> str:
        return httpx.get(self.url + path, timeout=20).text

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self._said += self.process.communicate(timeout=30)[1]
        return self.process.returncode

    def said(self) -> str:
        self.end()
        return self._said


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    servers: list[Server] = []
    temporary = str(tmp_path_factory.mktemp("temporary"))  # a killed supervisor cannot tidy up

    def begin(app: str = "small_app:create_app", **settings: str) -> Server:
        servers.append(Server(app, **{"TMPDIR": temporary} | settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.end(signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def is_refused(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0


def test_it_says_where_it_is_and_its_workers_answer(start: Start) -> None:
    server = start(**DATABASE, FHIR_WORKERS="2").ready()
    workers = server.running["workers"]
    assert len(set(workers)) == 2
    assert int(server.ask()) in workers
    assert server.running["database"] == "MongoDB"


def test_an_answer_names_the_date_and_not_the_software(start: Start) -> None:
    headers = httpx.get(start(**DATABASE).ready().url).headers
    assert sorted(headers) == ["content-type", "date", "transfer-encoding"]


def test_a_killed_worker_is_replaced_and_the_address_never_refuses(start: Start) -> None:
    server = start(**DATABASE).ready()
    seen = {server.ask()}
    for _ in range(2):
        os.kill(int(server.ask()), signal.SIGKILL)
        seen.add(server.ask())
    assert len(seen) == 3


def test_a_worker_is_replaced_when_the_folder_of_counters_has_been_tidied_away(start: Start, tmp_path: Path) -> None:
    server = start("small_app:create_counting", **DATABASE, TMPDIR=str(tmp_path)).ready()
    shutil.rmtree(next(tmp_path.glob("fhir-metrics-*")))
    first = server.ask()
    os.kill(int(first), signal.SIGKILL)
    assert server.ask() != first


def test_a_killed_worker_leaves_the_others_working(start: Start) -> None:
    server = start(**DATABASE, FHIR_WORKERS="2").ready()
    first, second = server.running["workers"]
    os.kill(first, signal.SIGSTOP)
    assert server.ask() == str(second)
    os.kill(first, signal.SIGKILL)
    assert server.ask() != str(first)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_the_request_in_flight_finish_and_refuses_new_ones(
    start: Start, number: int, tmp_path: Path
) -> None:
    server = start(**DATABASE, TMPDIR=str(tmp_path)).ready()
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(server.ask("/slow")))
    slow.start()
    wait_until((tmp_path / "slow-began").exists)
    server.process.send_signal(number)
    wait_until(lambda: is_refused(server.url), 2.5)
    assert answers == []
    slow.join()
    assert server.end() == 0
    assert answers == [str(server.running["workers"][0])]


def test_a_second_signal_ends_everything_at_once(start: Start) -> None:
    server = start(**DATABASE, FHIR_SHUTDOWN_SECONDS="600").ready()
    (worker,) = server.running["workers"]
    os.kill(worker, signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) == 0
    assert start_time(worker) == ""


def test_a_worker_that_does_not_end_in_time_is_ended(start: Start) -> None:
    server = start(**DATABASE, FHIR_SHUTDOWN_SECONDS="1").ready()
    (worker,) = server.running["workers"]
    os.kill(worker, signal.SIGSTOP)
    assert server.end() == 0
    assert start_time(worker) == ""


def test_workers_do_not_outlive_a_killed_supervisor(start: Start) -> None:
    server = start(**DATABASE, FHIR_WORKERS="2").ready()
    server.end(signal.SIGKILL)
    wait_until(lambda: not any(map(start_time, server.running["workers"])))


@pytest.mark.parametrize("factory", ["create_broken", "create_none"])
def test_an_app_that_cannot_start_ends_the_server_with_the_reason(start: Start, factory: str) -> None:
    server = start(f"small_app:{factory}", **DATABASE)
    assert server.process.wait(20) == 1
    said = server.said()
    assert "RuntimeError: the key is missing; set FHIR_CURSOR_KEY" in said
    assert said.splitlines()[-1] == (
        "fhir-server: a worker ended with code 3 before it was ready; the log above says why"
    )
    assert "Traceback" not in said


def test_a_taken_port_is_one_clear_line(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start(**DATABASE, FHIR_PORT=str(port))
        assert server.process.wait(20) == 1
    assert server.said() == (
        f"fhir-server: cannot listen on 127.0.0.1 port {port} (Address already in use); "
        "stop the other server or choose another with --port\n"
    )


def test_a_killed_database_comes_back_under_the_same_url(start: Start, tmp_path: Path) -> None:
    server = start(FHIR_DATA_DIR=str(tmp_path)).ready()
    before, url = read_state(tmp_path), server.ask("/database")
    assert before
    assert f"127.0.0.1:{before.port}/" in url
    assert re.fullmatch(rf"[a-z-]+ \(process {before.pid}\)", server.running["database"])
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: read_state(tmp_path) != before)
    after = read_state(tmp_path)
    assert after
    assert after.port == before.port
    assert server.ask("/database") == url
    assert server.end() == 0
    assert not after.is_running()


def test_the_address_is_free_again_after_a_stop(start: Start) -> None:
    server = start(**DATABASE).ready()
    port = server.url.rpartition(":")[2]
    server.ask()
    assert server.end() == 0
    again = start(**DATABASE, FHIR_PORT=port).ready()
    assert again.url == server.url


def test_ipv6_loopback_is_an_address(start: Start) -> None:
    server = start(**DATABASE, FHIR_HOST="::1").ready()
    assert re.fullmatch(r"http://\[::1\]:\d+", server.url)
    assert int(server.ask()) in server.running["workers"]
