"""fhir-server doctor: what is wrong with a setup, each finding with the way out. docs/guide/run-it.md

Starts nothing and changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhir_server.cli.checks import Finding, check_all
from fhir_server.settings import Settings, SettingsError


def doctor(
    data: Annotated[Path | None, typer.Option(help="Folder of the embedded database.")] = None,
    mongodb: Annotated[str | None, typer.Option(help="URL of a MongoDB, instead of the embedded database.")] = None,
    port: Annotated[int | None, typer.Option(help="Port the server shall listen on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for everything that would keep `serve` from working; exit code 1 if anything does."""
    try:
        findings = check_all(Settings.load(data_dir=data, mongodb_url=mongodb, port=port))
    except SettingsError as error:
        findings = [Finding("settings", "wrong", line, "see docs/reference/settings.md") for line in error.findings]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    marks = {"ok": "[green]ok     [/green]", "note": "[yellow]note   [/yellow]", "wrong": "[red]wrong  [/red]"}
    for finding in findings:
        console.print(f"{marks[finding.verdict]}{finding.subject}: ", end="")
        console.print(finding.detail, markup=False)
        if finding.way_out:
            console.print(f"       -> {finding.way_out}", markup=False)
