"""fhir-server terminology: releases of code systems, loaded, listed and removed. docs/guide/terminology.md

It works on the database itself; servers that run on it have what is loaded at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.api.concepts import Concepts, StoredSystem
from fhir_server.api.errors import Failure
from fhir_server.api.ports import JobRecord
from fhir_server.app import call_of, run_job
from fhir_server.cli.database import reachable
from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.cli.loading import Line
from fhir_server.interactions.services import Call
from fhir_server.settings import Settings
from fhir_server.store.driver import DatabaseError

terminology = typer.Typer(name="terminology", help="Load, list and remove code systems.", no_args_is_help=True)

KIND = "load-code-system"
_T = TypeVar("_T")

_Data = Annotated[Path | None, typer.Option(help="Folder of the embedded database.")]
_Mongodb = Annotated[str | None, typer.Option(help="URL of a MongoDB, instead of the embedded database.")]
_Tenant = Annotated[str, typer.Option(help="Whose code systems.")]


@terminology.command()
def load(
    kind: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help="loinc, snomed-ct, rxnorm, icd-10-cm, code-system or csv."),
    ],
    path: Annotated[Path, typer.Argument(help="The release as it was downloaded, or a single file.")],
    system: Annotated[str, typer.Option(help="URL of the code system, instead of the usual one; csv needs it.")] = "",
    version: Annotated[str, typer.Option(help="Version, instead of the one that the files tell.")] = "",
    module: Annotated[str, typer.Option(help="snomed-ct: id of the edition's module.")] = "",
    language: Annotated[
        list[str] | None, typer.Option(help="loinc: names to keep too. snomed-ct: of displays.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="csv: role=header, as in code=Code.")] = None,
    delimiter: Annotated[str, typer.Option(help="csv: what stands between columns.")] = "",
    encoding: Annotated[str, typer.Option(help="csv: how letters are written.")] = "",
    lenient: Annotated[bool, typer.Option("--lenient", help="Leave wrong rows out instead of refusing.")] = False,
    tenant: _Tenant = "default",
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """Load a release and put it in force when it is whole; the same command goes on with one that was stopped."""
    with clear_failures():
        if not path.is_file():
            raise CommandError(f"{path} is no file; a folder has to be packed as .zip first")
        settings = replace(_settings(data, mongodb), import_dir=str(path.resolve().parent))
        given = {
            "source": path.resolve().as_uri(), "format": kind, "lenient": lenient, "system": system, "version": version,
            "module": module, "delimiter": delimiter, "encoding": encoding, "languages": language or [],
            "columns": column or [],
        }  # fmt: skip
        with Line(path, [settings.mongodb_url, settings.database_prefix, tenant, given]) as line:
            record = JobRecord("", KIND, "", {"input": given, "type": "CodeSystem", "id": ""})
            result = _run(settings, tenant, lambda call: run_job(call, record, line))
    _say(result)


@terminology.command("list")
def list_systems(
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    tenant: _Tenant = "default",
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """List the code systems that were loaded, and those whose load has not ended."""
    with clear_failures():
        systems = _run(_settings(data, mongodb), tenant, lambda call: _concepts(call).all())
    if json_:
        print(json.dumps([_as_json(one) for one in systems], indent=2))
    elif not systems:
        print("no code systems are loaded")
    else:
        table = Table("code system", "version", "state", "loaded", box=None)
        table.add_column("concepts", justify="right")
        for one in systems:
            table.add_row(one.url, one.version, one.state, _day(one), f"{one.count:,}" if one.count else "")
        Console(highlight=False, soft_wrap=True).print(table)


@terminology.command()
def remove(
    system: Annotated[str, typer.Argument(help="http://loinc.org (all versions, and unfinished loads), or ...|2.77.")],
    tenant: _Tenant = "default",
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """Remove a code system with all its concepts."""
    url, bar, version = system.partition("|")

    async def work(call: Call) -> list[StoredSystem]:
        concepts = _concepts(call)
        found = [one for one in await concepts.all() if one.url == url and (not bar or one.version == version)]
        for one in found:
            await concepts.remove(one.key)
        return found

    with clear_failures():
        removed = _run(_settings(data, mongodb), tenant, work)
        if not removed:
            raise CommandError(f"{system} is not loaded; `fhir-server terminology list` lists what is")
    for one in removed:
        print(f"removed {_named(one)}{'' if one.state == 'ready' else ' (an unfinished load)'}")


def _settings(data: Path | None, mongodb: str | None) -> Settings:
    return reachable(Settings.load(data_dir=data, mongodb_url=mongodb))


def _concepts(call: Call) -> Concepts:
    return call.services.concepts.of(call.tenant)


def _run(settings: Settings, tenant: str, work: Callable[[Call], Awaitable[_T]]) -> _T:
    """Return what comes of some work on a tenant. Raises CommandError with a line for each thing that is wrong."""

    async def run() -> _T:
        async with call_of(settings, tenant) as call:
            return await work(call)

    try:
        return asyncio.run(run())
    except Failure as failure:
        raise CommandError("\nfhir-server: ".join(issue.diagnostics for issue in failure.issues)) from None
    except DatabaseError as error:
        raise CommandError(f"the database refuses: {error}") from None
    except KeyboardInterrupt:
        raise CommandError("stopped; the same command goes on from there") from None


def _say(result: dict[str, object]) -> None:
    rows = result["parameter"]
    assert isinstance(rows, list), "a job's result is Parameters"
    told = {row["name"]: next(v for k, v in row.items() if k != "name") for row in rows}
    for issue in told.get("outcome", {}).get("issue", ()):
        print(f"left out: {issue['diagnostics']}")
    if told.get("leftOut"):
        print(f"{told['leftOut']:,} findings in all")
    version = f"|{told['version']}" if "version" in told else ""
    print(f"loaded {told['url']}{version}: {told['concepts']:,} concepts")


def _as_json(one: StoredSystem) -> dict[str, object]:
    return {
        "url": one.url, "version": one.version, "state": one.state, "concepts": one.count, "by": one.by,
        "started": _instant(one.started), "finished": _instant(one.finished) if one.finished else None,
    }  # fmt: skip


def _named(one: StoredSystem) -> str:
    return f"{one.url}|{one.version}" if one.version else one.url


def _day(one: StoredSystem) -> str:
    return _instant(one.finished)[:10] if one.finished else ""


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
