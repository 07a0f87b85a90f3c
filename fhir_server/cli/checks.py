"""The checks of `fhir-server doctor`: each looks at one thing and says what it found. docs/guide/run-it.md"""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Literal

from fhir_server.settings import Settings
from fhir_server.store.engine import running_engine
from fhir_server.store.engine_programs import EngineError, find_program
from fhir_server.store.engine_state import read_state
from fhir_server.store.inspection import LEAST_VERSION, Inspection, inspect

LEAST_FREE_BYTES = 1_000_000_000
PLUGIN_GROUPS = ("fhir_server.operations", "fhir_server.packs", "fhir_server.terminology", "fhir_server.bridge")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one subject: `ok`, a `note` to know about, or `wrong` with the way out."""

    subject: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str
    way_out: str = ""


def check_all(settings: Settings) -> list[Finding]:
    """Return the findings of every check; settings that can be read are ok by themselves."""
    findings = [Finding("settings", "ok", "every FHIR_* name is known and its value fits")]
    for check in _CHECKS:
        findings += check(settings)
    return findings


def _python(_: Settings) -> list[Finding]:
    return [Finding("python", "ok", platform.python_version())]  # an older one could not read this file


def _data_folder(settings: Settings) -> list[Finding]:
    if settings.mongodb_url:
        return []
    folder = settings.data_dir.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [Finding("data", "wrong", f"{existing} cannot be written", "choose another folder with --data")]
    free = shutil.disk_usage(existing).free
    if free < LEAST_FREE_BYTES:
        way = "free some, or choose another folder with --data"
        return [Finding("data", "wrong", f"{folder} has {free // 1_000_000} MB left", way)]
    return [Finding("data", "ok", f"{folder}, {free // 1_000_000_000} GB left")]


def _engine(settings: Settings) -> list[Finding]:
    if settings.mongodb_url:
        return []
    state = read_state(settings.data_dir)
    if state and settings.engine and settings.engine != state.program:
        detail = f"{settings.data_dir} holds data of {state.program} and FHIR_ENGINE asks for {settings.engine}"
        return [Finding("engine", "wrong", detail, "leave FHIR_ENGINE out or choose another folder with --data")]
    try:
        program = find_program(settings.engine or (state.program if state else ""))
    except EngineError as error:
        return [Finding("engine", "wrong", str(error), "run `make setup`, or set FHIR_MONGODB_URL")]
    found = Finding("engine", "ok", f"{program.path} {program.version()}".strip())
    if program.name == "mongod":
        return [found]
    note = "SecantusDB is a beta, for trying and testing"
    return [found, Finding("engine", "note", note, "set FHIR_MONGODB_URL for data that matters")]


def _database(settings: Settings) -> list[Finding]:
    url = settings.mongodb_url or running_engine(settings.data_dir)
    if url is None:
        return [Finding("database", "ok", "the embedded engine is not running; `serve` starts it")]
    seen = inspect(url, settings.database_prefix)
    if seen.failure:
        way = "start MongoDB, and check FHIR_MONGODB_URL, the network and the credentials"
        return [Finding("database", "wrong", f"no answer ({seen.failure})", way)]
    return [*_server(seen), *_durability(seen), *_indexes(seen)]


def _server(seen: Inspection) -> list[Finding]:
    findings = []
    least = ".".join(map(str, LEAST_VERSION))
    if seen.recent:
        findings.append(Finding("database", "ok", f"version {seen.version}"))
    else:
        findings.append(Finding("database", "wrong", f"version {seen.version}", f"upgrade to {least} or newer"))
    if not seen.replica_set:
        way = "start mongod with --replSet and run rs.initiate(); one node is enough"
        findings.append(Finding("replica set", "wrong", "none, so no transactions and no change streams", way))
    elif not seen.writable:
        way = "wait for a primary, or give all members in FHIR_MONGODB_URL"
        findings.append(Finding("replica set", "wrong", f"{seen.replica_set} has no writable primary here", way))
    else:
        findings.append(Finding("replica set", "ok", seen.replica_set))
    return findings


def _durability(seen: Inspection) -> list[Finding]:
    if seen.acknowledged in ("0", "1"):
        detail = f"the default is w: {seen.acknowledged}, so a write may be acknowledged and lost"
        return [Finding("write concern", "wrong", detail, "add w=majority&journal=true to FHIR_MONGODB_URL")]
    return [Finding("write concern", "ok", seen.acknowledged or "the server's default")]


def _indexes(seen: Inspection) -> list[Finding]:
    if seen.missing_indexes:
        detail = f"{len(seen.missing_indexes)} missing: {', '.join(seen.missing_indexes[:10])}"
        return [Finding("indexes", "wrong", detail, "start the server once; it makes what is missing")]
    return [Finding("indexes", "ok", f"all there, in the databases of {seen.tenants} tenants")]


def _plugins(_: Settings) -> list[Finding]:
    loaded, findings = 0, []
    for group in PLUGIN_GROUPS:
        for point in entry_points(group=group):
            try:
                point.load()
            except Exception as error:  # noqa: BLE001 - the plugin boundary: whatever a plugin does wrong is its finding
                way = f"reinstall or remove {point.dist.name if point.dist else point.value}"
                findings.append(Finding("plugins", "wrong", f"{point.name}: {type(error).__name__}: {error}", way))
            else:
                loaded += 1
    return [Finding("plugins", "ok", f"{loaded} load"), *findings]


def _port(settings: Settings) -> list[Finding]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host} port {settings.port}"
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            way = "stop the server that has it (it may be ours), or choose another with --port"
            return [Finding("port", "wrong", f"{where}: {error.strerror}", way)]
    return [Finding("port", "ok", f"{where} is free")]


_CHECKS: tuple[Callable[[Settings], list[Finding]], ...] = (_python, _data_folder, _engine, _database, _plugins, _port)
