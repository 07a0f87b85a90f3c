"""fhir-server validate: what is wrong with resources in files, without a server. docs/guide/validation.md"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.cli.importing.sources import Source
from fhir_server.cli.validating.offline import OfflineValidator
from fhir_server.cli.validating.reading import Found, resources, sources
from fhir_server.cli.validating.shelf import shelf_of
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.outcomes import Issue, operation_outcome
from fhir_server.kernel.ports import terminology

LEVELS = ("fatal", "error", "warning", "information")
_COLOURS = {"fatal": "red", "error": "red", "warning": "yellow", "information": "blue"}


def validate(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with .json, .ndjson and .xml, gzip or not.")],
    package: Annotated[list[Path] | None, typer.Option(help="Archive (.tgz) of a package; may be repeated.")] = None,
    profile: Annotated[list[str] | None, typer.Option(help="Profile that every resource has to keep.")] = None,
    level: Annotated[str, typer.Option(help="The least that is shown: error, warning or information.")] = "warning",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line with an OperationOutcome for each resource.")
    ] = False,
) -> None:
    """Validate resources against FHIR, the profiles they claim and those named; exit code 1 if one has an error."""
    with clear_failures():
        if level not in LEVELS[1:]:
            raise CommandError(f"--level is one of {', '.join(LEVELS[1:])}")
        shelf = shelf_of(package or (), r4().resource_types)
        validator = OfflineValidator(shelf, terminology("local"))
        shown = LEVELS[: LEVELS.index(level) + 1]
        counts = asyncio.run(_run(validator, sources(paths), tuple(profile or ()), shown, as_json=as_json))
    raise typer.Exit(1 if counts["fatal"] + counts["error"] else 0)


async def _run(
    validator: OfflineValidator, files: list[Source], profiles: tuple[str, ...], shown: Iterable[str], *, as_json: bool
) -> Counter[str]:
    counts: Counter[str] = Counter()
    out = Console(highlight=False, soft_wrap=True)
    with _progress() if not as_json else nullcontext() as bar:
        task = bar.add_task("validating", total=len(files)) if bar else None
        for source in files:
            for found in resources(source):
                counts["resources"] += 1
                issues = [found.issue] if found.issue else await validator.issues(found.resource, profiles)
                counts.update(issue.severity for issue in issues)
                if as_json:
                    _print_json(found, issues)
                else:
                    _print(out, found, [issue for issue in issues if issue.severity in shown])
            if bar and task is not None:
                bar.advance(task)
    if not as_json:
        words = ", ".join(f"{counts[name]} {name}" for name in LEVELS[1:])
        out.print(f"{counts['resources']} resources in {len(files)} files: {words}", markup=False)
    return counts


def _print(out: Console, found: Found, issues: list[Issue]) -> None:
    for issue in sorted(issues, key=lambda one: LEVELS.index(one.severity)):
        where = issue.expression or issue.location
        line = Text(f"{found.place}: ")
        line.append(issue.severity, style=_COLOURS[issue.severity])
        line.append(f" {issue.code}{f' {where}' if where else ''}: {issue.diagnostics}")
        out.print(line)


def _print_json(found: Found, issues: list[Issue]) -> None:
    place = {"file": found.file, "line": found.line} if found.line else {"file": found.file}
    print(json.dumps({**place, "outcome": operation_outcome(issues)}))


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
