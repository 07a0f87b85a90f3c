"""The database programs that can be the embedded engine: where they are, how each is started. docs/guide/run-it.md

They are separate processes that speak MongoDB's wire protocol. The two SecantusDB ones are betas under GPL-2.0-only:
they are started, never imported.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

NAMES = ("mongod", "secantusd-rs", "secantusd-py")
REPLICA_SET = "fhir"
_NOT_YET_INITIALIZED = 94
_CHECKOUT = Path(__file__).parents[2]


class EngineError(RuntimeError):
    """The embedded engine cannot be used; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class Program:
    """A database program that was found; `name` is one of NAMES."""

    name: str
    path: Path

    def command(self, directory: Path, port: int, cache_mb: int) -> list[str]:
        """Return the command line that serves `directory/<name>` on a loopback port, every commit on disk."""
        storage = directory / self.name
        storage.mkdir(parents=True, exist_ok=True)
        if self.name == "mongod":
            gigabytes = max(cache_mb / 1024, 0.25)
            return [
                *(str(self.path), "--dbpath", str(storage), "--bind_ip", "127.0.0.1", "--port", str(port)),
                *("--replSet", REPLICA_SET, "--wiredTigerCacheSizeGB", f"{gigabytes:.2f}", "--quiet"),
            ]
        own_file = directory / "engine.toml"  # so that no file of the user's is picked up
        own_file.touch()
        return [
            *(str(self.path), "--config", str(own_file), "--host", "127.0.0.1", "--port", str(port)),
            *("--storage-path", str(storage), "--cache-size", f"{cache_mb}M"),
            *("--log-level", "WARNING", "--sync-on-commit"),
        ]

    def url(self, port: int) -> str:
        """Return the URL of this program on a port, with the write concern that survives a kill.

        SecantusDB has no write concern to ask for: --sync-on-commit does it for every write.
        """
        concern = "&w=majority&journal=true" if self.name == "mongod" else ""
        return f"mongodb://127.0.0.1:{port}/?directConnection=true{concern}"

    def prepare(self, client: MongoClient[dict[str, Any]], port: int) -> None:
        """Make a mongod the one-node replica set that transactions and change streams need; idempotent."""
        if self.name != "mongod":
            return
        member = {"_id": 0, "host": f"127.0.0.1:{port}"}
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            return
        if config["members"][0]["host"] != member["host"]:  # the port of the last start was taken
            config = {**config, "version": config["version"] + 1, "members": [{**config["members"][0], **member}]}
            client.admin.command("replSetReconfig", config, force=True)

    def version(self) -> str:
        """Return what the program says of its version, or '' if it does not say."""
        if self.name == "secantusd-py":  # it has no --version
            try:
                return f"secantusdb {metadata.version('secantusdb')}"
            except metadata.PackageNotFoundError:
                return ""
        try:
            done = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def find_program(name: str = "") -> Program:
    """Return the program called `name`, or the first found of NAMES; EngineError if there is none."""
    for candidate in (name,) if name else NAMES:
        if path := _locate(candidate):
            return Program(candidate, path)
    if name:
        raise EngineError(f"the engine {name} is not on the PATH{_WAYS.get(name, '')}")
    raise EngineError(
        "no embedded engine found: run `make setup` (installs secantusd-py), `make engine` (builds secantusd-rs), "
        "put mongod on the PATH, or set FHIR_MONGODB_URL"
    )


_WAYS = {
    "mongod": "; install MongoDB, or leave FHIR_ENGINE out",
    "secantusd-rs": " or in .engine/bin; build it with `make engine`, or leave FHIR_ENGINE out",
    "secantusd-py": " or beside python; install it with `pip install fhir-server[embedded]`, or leave FHIR_ENGINE out",
}


def _locate(name: str) -> Path | None:
    if found := shutil.which(name):
        return Path(found).absolute()
    places = {
        "secantusd-rs": [Path.cwd() / ".engine/bin", _CHECKOUT / ".engine/bin"],
        "secantusd-py": [Path(sys.executable).parent],
    }
    for place in places.get(name, []):
        if found := shutil.which(name, path=str(place)):
            return Path(found)
    return None
