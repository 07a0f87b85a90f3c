"""fhir-server package: the FHIR packages of a tenant, installed, listed and removed. docs/guide/packages.md

It works on the database itself; servers that run on it follow without a restart.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from fhir_server.api.errors import BusinessRule, Failure
from fhir_server.api.packages import Done, Package, Packaging, Terms, Wish
from fhir_server.app import call_of
from fhir_server.cli.database import reachable
from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.cli.packages_shown import as_json, details, table
from fhir_server.packaging.planning import read
from fhir_server.settings import Settings
from fhir_server.store.driver import DatabaseError

package = typer.Typer(name="package", help="Install, list and remove FHIR packages.", no_args_is_help=True)

ARCHIVES = (".tgz", ".tar.gz")
_T = TypeVar("_T")

_Data = Annotated[Path | None, typer.Option(help="Folder of the embedded database.")]
_Mongodb = Annotated[str | None, typer.Option(help="URL of a MongoDB, instead of the embedded database.")]
_Tenant = Annotated[str, typer.Option(help="Whose packages.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@package.command()
def install(
    source: Annotated[str, typer.Argument(help="An archive (.tgz), or a name: hl7.fhir.us.core, or ...core@6.1.0.")],
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Remove older versions of it.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace other content of the same version; break what depends on it.")
    ] = False,
    no_dependencies: Annotated[bool, typer.Option("--no-dependencies", help="Install nothing else.")] = False,
    missing_dependencies: Annotated[
        str, typer.Option(help="What to do when some cannot be found: refuse or accept.")
    ] = "refuse",
    tenant: _Tenant = "default",
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """Install a package with what it depends on: all of it, or nothing."""
    with clear_failures():
        if missing_dependencies not in ("refuse", "accept"):
            raise CommandError("--missing-dependencies is refuse or accept")
        terms = Terms(upgrade, force, not no_dependencies, missing_dependencies == "accept", "command line")
        wish = _wish(source)
        console = Console(stderr=True, highlight=False)
        with console.status("reading") as status:

            async def report(text: str) -> None:
                status.update(text)

            done = _run(_settings(data, mongodb), tenant, lambda packages: packages.install(wish, terms, report))
    _say(done)


@package.command("list")
def list_packages(
    tenant: _Tenant = "default", json_: _Json = False, data: _Data = None, mongodb: _Mongodb = None
) -> None:
    """List the packages that are installed."""
    with clear_failures():
        settings = _settings(data, mongodb)
        packages, needs = _run(settings, tenant, _described)
    if json_:
        print(json.dumps([as_json(one, needs[one.label]) for one in packages], indent=2))
    elif not packages:
        print("no packages are installed")
    else:
        Console(highlight=False, soft_wrap=True).print(table(packages, needs))


@package.command()
def show(
    name: Annotated[str, typer.Argument(help="hl7.fhir.us.core, or hl7.fhir.us.core@6.1.0.")],
    tenant: _Tenant = "default",
    json_: _Json = False,
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """Show what is known of a package, and what its resources are found by."""
    wanted, version = _named(name)

    async def look(packages: Packaging) -> list[tuple[Package, dict[str, object]]]:
        found, needs = await _described(packages)
        chosen = [one for one in found if one.name == wanted and version in ("", one.version)]
        return [(one, as_json(one, needs[one.label], await packages.contents(one))) for one in chosen]

    with clear_failures():
        rows = _run(_settings(data, mongodb), tenant, look)
        if not rows:
            raise CommandError(f"the package {name} is not installed; `fhir-server package list` lists those that are")
    if json_:
        print(json.dumps([row for _, row in rows], indent=2))
    else:
        for _, row in rows:
            details(Console(highlight=False, soft_wrap=True), row)


@package.command()
def remove(
    name: Annotated[str, typer.Argument(help="hl7.fhir.us.core (all versions), or hl7.fhir.us.core@6.1.0.")],
    force: Annotated[bool, typer.Option("--force", help="Also when others depend on it.")] = False,
    tenant: _Tenant = "default",
    data: _Data = None,
    mongodb: _Mongodb = None,
) -> None:
    """Remove a package."""
    wanted, version = _named(name)
    with clear_failures():
        settings = _settings(data, mongodb)
        _say(_run(settings, tenant, lambda packages: packages.remove(wanted, version, force=force)))


async def _described(packages: Packaging) -> tuple[tuple[Package, ...], dict[str, list[dict[str, str]]]]:
    found = await packages.installed()
    return found, {
        one.label: [
            {"name": need.name, "version": need.version, "state": need.state} for need in packages.needs(one, found)
        ]
        for one in found
    }


def _settings(data: Path | None, mongodb: str | None) -> Settings:
    return reachable(Settings.load(data_dir=data, mongodb_url=mongodb))


def _run(settings: Settings, tenant: str, work: Callable[[Packaging], Awaitable[_T]]) -> _T:
    """Return what comes of some work on a tenant's packages. Raises CommandError with a line for each thing wrong."""

    async def run() -> _T:
        async with call_of(settings, tenant) as call:
            return await work(call.services.packager.of(call.tenant))

    try:
        return asyncio.run(run())
    except Failure as failure:
        lines = [f"{issue.location}: {issue.diagnostics}".removeprefix(": ") for issue in failure.issues]
        if isinstance(failure, BusinessRule):
            lines.append("to accept that, give --missing-dependencies accept")
        raise CommandError("\nfhir-server: ".join(lines)) from None
    except DatabaseError as error:
        raise CommandError(f"the database refuses: {error}") from None


def _wish(source: str) -> Wish:
    """Return what is to be installed: a file where there is one or it looks like one, else a package by its name."""
    path = Path(source)
    if not source.endswith(ARCHIVES) and "/" not in source and not path.is_file():
        name, version = _named(source)
        return Wish(name, version)
    if not path.is_file():
        raise CommandError(f"{source} is no file")
    return Wish(archive=lambda: read(path))


def _named(text: str) -> tuple[str, str]:
    """Return name and version of `name@version`, also written `name#version`."""
    name, _, version = text.replace("#", "@").partition("@")
    return name, version


def _say(done: Done) -> None:
    for package_ in done.installed:
        print(f"installed {package_.label}: {package_.resources} resources")
    for package_ in done.unchanged:
        print(f"unchanged {package_.label}")
    for package_ in done.removed:
        print(f"removed   {package_.label}")
    for name, version, dependent in done.missing:
        print(f"missing   {name}#{version}, which {dependent} depends on")
