"""fhir-server import: send files of records to a running server. docs/guide/import.md"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Annotated, BinaryIO

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.cli.importing.reading import Advance, shipments
from fhir_server.cli.importing.report import CHECKED, CREATED, OTHER, Report
from fhir_server.cli.importing.sending import Sender
from fhir_server.cli.importing.shipments import Refusal, Shipment
from fhir_server.cli.importing.sources import Source, find, in_order

SERVER = "http://127.0.0.1:8000/fhir"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 300  # a large transaction takes its time


def import_records(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders with .json, .ndjson, .json.gz, .ndjson.gz.")],
    server: Annotated[str, typer.Option(help="Base URL of a running FHIR server.")] = SERVER,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests under way at once.")] = 2,
    errors: Annotated[Path | None, typer.Option(help="File for every refusal, as NDJSON OperationOutcomes.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read and check the JSON; send nothing.")] = False,
) -> None:
    """Import Bundles, resources and NDJSON, gzip or not; exit code 1 if anything was refused."""
    with clear_failures():
        is_clean = run(paths, server=server, concurrency=concurrency, errors=errors, dry_run=dry_run)
    raise typer.Exit(0 if is_clean else 1)


def run(
    paths: Iterable[Path],
    *,
    server: str = SERVER,
    concurrency: int = 2,
    errors: Path | None = None,
    dry_run: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> bool:
    """Import and print what became of it, also when it is stopped half-way; return whether nothing was refused.

    Raises CommandError if there is nothing to read, nowhere to write, or no server. `transport` replaces the network.
    """
    sources = find(paths)
    if not dry_run:
        _check_url(server)
    with _writable(errors) as file, _progress() as bar:
        report = Report(file)
        task = bar.add_task("", total=sum(source.size for source in sources))

        def advance(size: int) -> None:
            bar.update(task, advance=size, description=f"{report.total():,} records")

        try:
            if dry_run:
                check(sources, report, advance)
            else:
                asyncio.run(_send(in_order(sources), server, report, advance, concurrency, transport))
        finally:
            bar.stop()
            if report.counts:
                report.show(Console())
    return report.is_clean


def check(sources: Iterable[Source], report: Report, advance: Advance) -> None:
    """Read everything and send nothing."""
    for found in shipments(sources, advance):
        if isinstance(found, Refusal):
            report.refuse(found)
            continue
        for record in found.records:
            report.count(record.type, CHECKED)


async def deliver(
    sources: Iterable[Source], sender: Sender, report: Report, advance: Advance, concurrency: int
) -> None:
    """Send the sources stage by stage; within one, `concurrency` shipments are under way at once."""
    for _, stage in groupby(sources, key=lambda source: source.stage):
        found = shipments(stage, advance)
        failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(_carry(found, sender, report))
        except* CommandError as several:
            failed += several.exceptions
        if failed:
            raise failed[0]  # outside, for within except* it would become a group again


async def _carry(found: Iterator[Shipment | Refusal], sender: Sender, report: Report) -> None:
    """Take the next one whenever the last is delivered; the carriers share one iterator."""
    for shipment in found:
        if isinstance(shipment, Refusal):
            report.refuse(shipment)
        else:
            await sender.send(shipment)


async def _send(
    sources: list[Source],
    server: str,
    report: Report,
    advance: Advance,
    concurrency: int,
    transport: httpx.AsyncBaseTransport | None,
) -> None:
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(timeout=timeout, transport=transport) as http:
        sender = Sender(http, server, report)
        await sender.greet()
        try:
            await deliver(sources, sender, report, advance, concurrency)
        except CommandError as error:
            stored = report.total(CREATED, OTHER)
            raise CommandError(
                f"{error}\nfhir-server: stopped after {stored:,} records; what has ids can simply be imported again"
            ) from None


def _check_url(server: str) -> None:
    try:
        is_url = httpx.URL(server).scheme in ("http", "https") and bool(httpx.URL(server).host)
    except httpx.InvalidURL:
        is_url = False
    if not is_url:
        raise CommandError(f"--server {server} is not a URL; one looks like {SERVER}")


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        yield bar


def _writable(path: Path | None) -> BinaryIO | nullcontext[None]:
    if path is None:
        return nullcontext()
    try:
        return path.open("wb")
    except OSError as error:
        raise CommandError(f"--errors {path} cannot be written: {error.strerror}") from None
