"""fhir-server search explain: how a search is answered, command by command. docs/guide/search.md

It runs the search on the database itself, without the server, and changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

import typer
from rich.console import Console

from fhir_server.api.errors import Failure
from fhir_server.cli.database import reachable
from fhir_server.cli.explaining import Explanation, explain_search
from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.settings import Settings
from fhir_server.store.driver import DatabaseError
from fhir_server.store.tracing import Explained, Step

search = typer.Typer(name="search", help="Look into searches.", no_args_is_help=True)
_LONGEST = 400


@search.callback()
def _group() -> None:
    """Keep `explain` a subcommand while it is the only one."""


@search.command()
def explain(
    query: Annotated[str, typer.Argument(help='A search as in a URL: "Observation?code=85354-9&_sort=-date".')],
    data: Annotated[Path | None, typer.Option(help="Folder of the embedded database.")] = None,
    mongodb: Annotated[str | None, typer.Option(help="URL of a MongoDB, instead of the embedded database.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose records.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the plan of a search: what is asked of which index, what was looked at, and what was tested afterwards."""
    with clear_failures():
        settings = reachable(Settings.load(data_dir=data, mongodb_url=mongodb))
        path, _, text = query.partition("?")
        try:
            found = asyncio.run(
                explain_search(settings, tenant, path.strip("/"), parse_qsl(text, keep_blank_values=True))
            )
        except Failure as failure:
            raise CommandError("; ".join(issue.diagnostics for issue in failure.issues)) from None
        except DatabaseError as error:
            raise CommandError(f"the database refuses: {error}") from None
    if as_json:
        print(json.dumps(_as_json(found), indent=2, default=str))
    else:
        _print(query, found)


def _as_json(found: Explanation) -> dict[str, Any]:
    return {
        "matches": found.matches,
        "warnings": list(found.warnings),
        "tested": found.is_tested,
        "commands": [
            {
                "command": step.command,
                "returned": step.returned,
                "milliseconds": round(step.milliseconds, 2),
                "indexes": list(told.indexes) if told else [],
                "keysExamined": told.keys if told else None,
                "documentsExamined": told.documents if told else None,
            }
            for step, told in found.steps
        ],
    }


def _print(query: str, found: Explanation) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(query, style="bold", markup=False)
    for warning in found.warnings:
        console.print(f"  ! {warning}", style="yellow", markup=False)
    for number, (step, told) in enumerate(found.steps, 1):
        console.print(f"{number}. {_headline(step, told)}", markup=False)
        console.print(f"   {_asked(step)}", style="dim", markup=False)
    after = "; what the index found was tested on each resource" if found.is_tested else ""
    console.print(f"{found.matches} entries on the first page, {len(found.steps)} commands{after}", markup=False)


def _headline(step: Step, told: Explained | None) -> str:
    kind = next(iter(step.command))
    text = f"{kind} {step.command[kind]}: {step.returned} in {step.milliseconds:.1f} ms"
    if told is None:
        return f"{text}; the database does not explain it"
    walked = f"index {', '.join(told.indexes)}" if told.indexes else ", ".join(told.stages) or "no index named"
    looked = f", {told.keys} keys and {told.documents} documents looked at" if told.keys is not None else ""
    return f"{text}; {walked}{looked}"


def _asked(step: Step) -> str:
    shown = {k: v for k, v in step.command.items() if k in ("filter", "pipeline", "query", "sort", "limit")}
    text = json.dumps(shown, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
