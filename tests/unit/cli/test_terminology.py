"""`fhir-server terminology`: as people use it, on the database of a server that runs. docs/guide/terminology.md"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhir_server.cli.commands import app
from fhir_server.testing.client import fhir_client
from fhir_server.testing.engine import test_engine_url

pytestmark = pytest.mark.engine

SYSTEM = "http://example.org/colours"
MANY = 40_000  # concepts: they take long enough to be stopped on the way
TABLE = "code,display,parent\nred,Red,\nrose,Rose,red\n"


class Shell:
    """Runs the command on the database of a server, with a home of the test's own."""

    def __init__(self, prefix: str, home: Path) -> None:
        self.environment = {**os.environ, "FHIR_DATABASE_PREFIX": prefix, "HOME": str(home)}
        self.where = ["--mongodb", test_engine_url()]

    async def __call__(self, *arguments: str) -> Result:
        runner = CliRunner(env=self.environment)
        return await asyncio.to_thread(runner.invoke, app, ["terminology", *arguments, *self.where])

    async def lines(self, *arguments: str) -> list[str]:
        """Return what a command prints that works."""
        told = await self(*arguments)
        assert told.exit_code == 0, told.output
        return told.stdout.splitlines()

    async def refused(self, *arguments: str) -> str:
        """Return what a command says that does not."""
        told = await self(*arguments)
        assert (told.exit_code, told.stdout) == (1, ""), told.output
        assert all(line.startswith("fhir-server: ") for line in told.stderr.splitlines())
        return told.stderr


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """The command, and a server beside it."""
    async with fhir_client() as http:
        assert http.app.services is not None
        store = http.app.services.store
        yield Shell(store._prefix, tmp_path / "home")  # type: ignore[attr-defined]  # MongoStore's


async def test_releases_are_loaded_listed_and_removed(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "colours.csv"
    path.write_text(TABLE)
    asked = ("load", "csv", str(path), "--system", SYSTEM)
    assert await shell.lines("list") == ["no code systems are loaded"]
    assert await shell.lines(*asked, "--version", "1") == [f"loaded {SYSTEM}|1: 2 concepts"]
    path.write_text(TABLE + "blue,Blue,\nink,Ink,green\n")
    assert "colours.csv, line 5: the parent 'green' of 'ink' is not in the release" in await shell.refused(
        *asked, "--version", "2"
    )
    assert await shell.lines(*asked, "--version", "2", "--lenient") == [
        "left out: colours.csv, line 5: the parent 'green' of 'ink' is not in the release.",
        "1 findings in all",
        f"loaded {SYSTEM}|2: 4 concepts",
    ]
    rows = json.loads("\n".join(await shell.lines("list", "--json")))
    assert [(row["url"], row["version"], row["state"], row["concepts"]) for row in rows] == [
        (SYSTEM, "1", "ready", 2), (SYSTEM, "2", "ready", 4),
    ]  # fmt: skip
    table = await shell.lines("list")
    assert [line.split()[:3] for line in table[1:]] == [[SYSTEM, "1", "ready"], [SYSTEM, "2", "ready"]]
    assert await shell.lines("remove", f"{SYSTEM}|1") == [f"removed {SYSTEM}|1"]
    assert await shell.lines("remove", SYSTEM) == [f"removed {SYSTEM}|2"]
    assert "is not loaded" in await shell.refused("remove", SYSTEM)
    assert not list((tmp_path / "home").rglob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("csv", "nowhere.csv"), "nowhere.csv is no file"),
        (("csv", "t.csv", "--system", SYSTEM, "--tenant", "nobody"), "There is no tenant nobody"),
        (("csv", "t.csv"), "give the parameter system"),
        (("cpt", "t.csv"), "format must be one of code-system, csv"),
        (("loinc", "t.csv"), "give the parameter version"),
        (("loinc", "t.csv", "--version", "2"), "t.csv, line 1: the header has no column LOINC_NUM"),
    ],
)
async def test_what_cannot_be_loaded(shell: Shell, tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    kind, name, *more = arguments
    assert text in await shell.refused("load", kind, str(tmp_path / name), *more)
    assert await shell.lines("list") == ["no code systems are loaded"]


def _begun(home: Path) -> list[Path]:
    """Return what a load has saved, once it says that some of it is in the database."""
    with suppress(ValueError):  # it is being written
        return [path for path in home.rglob("*.json") if json.loads(path.read_text())["batches"]]
    return []


def _stopped(
    arguments: list[str], environment: dict[str, str], home: Path, how: signal.Signals
) -> tuple[list[Path], int, bytes]:
    """Run a command until it has saved how far it is, and stop it; return what it has saved and how it ended."""
    command = [sys.executable, "-m", "fhir_server", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (saved := _begun(home)) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    return saved, process.returncode, said


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [(signal.SIGKILL, -9, b""), (signal.SIGINT, 1, b"fhir-server: stopped; the same command goes on from there\n")],
)
async def test_a_load_that_is_stopped_goes_on(
    shell: Shell, tmp_path: Path, how: signal.Signals, code: int, said: bytes
) -> None:
    path, home = tmp_path / "many.csv", tmp_path / "home"
    path.write_text("code,display\n" + "".join(f"c{n},Concept {n}\n" for n in range(MANY)))
    asked = ["load", "csv", str(path), "--system", SYSTEM, "--version", "1"]
    command = ["terminology", *asked, *shell.where]
    saved, *ended = await asyncio.to_thread(_stopped, command, shell.environment, home, how)
    assert ended == [code, said]
    assert json.loads(saved[0].read_text())["batches"] > 0
    (row,) = json.loads("\n".join(await shell.lines("list", "--json")))
    assert (row["state"], row["finished"]) == ("loading", None)
    begun = row["started"]
    assert await shell.lines(*asked) == [f"loaded {SYSTEM}|1: {MANY:,} concepts"]
    (row,) = json.loads("\n".join(await shell.lines("list", "--json")))
    assert (row["state"], row["started"]) == ("ready", begun)
    assert not list(home.rglob("*.json"))
