"""fhir-server serve: answer requests until told to stop. docs/guide/run-it.md"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhir_server import __version__
from fhir_server.cli.failing import clear_failures
from fhir_server.cli.supervisor import Running, Supervisor
from fhir_server.http.logs import configure_logging
from fhir_server.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback only for now.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes, one per core.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the embedded database.")] = None,
    mongodb: Annotated[str | None, typer.Option(help="URL of a MongoDB, instead of the embedded database.")] = None,
) -> None:
    """Serve FHIR R4 at /fhir. Options win over FHIR_* environment variables (docs/reference/settings.md)."""
    with clear_failures():
        settings = Settings.load(host=host, port=port, workers=workers, data_dir=data, mongodb_url=mongodb)
        configure_logging(settings)
        Supervisor(settings, announce).run()


def announce(running: Running) -> None:
    """Say where the server is and which processes it is made of."""
    workers = " ".join(map(str, running.workers))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"fhir-server {__version__} at [bold]{running.url}/fhir[/bold]")
    console.print(f"process {os.getpid()}, workers {workers}, database {running.database}; stop with Ctrl-C")
