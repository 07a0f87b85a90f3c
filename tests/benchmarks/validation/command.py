"""`make bench validation`: what validation against profiles costs beside FHIR's own checks, and answers about codes.

docs/benchmarks.md says what the figures mean. The profiles are those of US Core 6.1.0 in ../shared/data/ig.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fhir_server.store.engine import running_engine
from fhir_server.store.engine_programs import find_program
from fhir_server.store.engine_state import read_state
from tests.benchmarks import report
from tests.benchmarks.load import ask, request
from tests.benchmarks.processes import machine, memory_megabytes
from tests.benchmarks.validation.checking import Cost, costs
from tests.benchmarks.validation.codes import CONCEPTS, Answer, answers, load, value_sets
from tests.running import ROOT, RunningServer, running_server

BEGIN = '<!-- measured: written by `make bench ARGS="validation --write"` -->'
PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGE = ROOT.parent / "shared" / "data" / "ig" / "us_core_610.tgz"
PATIENCE = 20


def main(arguments: Sequence[str]) -> None:
    """Measure and print; with --write put the figures into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks validation", description=__doc__)
    parser.add_argument("--package", type=Path, default=PACKAGE, help="archive of US Core 6.1.0")
    parser.add_argument("--seconds", type=float, default=3, help="how long each question is asked")
    parser.add_argument("--write", action="store_true", help=f"update {PAGE.relative_to(ROOT)}")
    given = parser.parse_args(arguments)
    if not given.package.is_file():
        sys.exit(f"{given.package} is not there: give the archive of US Core 6.1.0 with --package")
    checked = asyncio.run(costs(given.package))
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as folder:
        found = _text(checked, *_served(Path(folder), given.seconds))
    print(found)
    if given.write:
        report.write(PAGE, found, BEGIN)


def _served(folder: Path, seconds: float) -> tuple[list[Answer], tuple[tuple[str, str], ...]]:
    with running_server(folder) as server:
        server.seconds_to_answer(PATIENCE)
        port = urlsplit(server.url).port
        url = running_engine(folder / "engine")
        assert port
        assert url, "the engine of a server that answers is running"
        took, size = asyncio.run(load(url, "fhir"))
        rows = asyncio.run(_asked(server, port, seconds))
        memory = memory_megabytes(server.workers()[0])
        state = read_state(folder / "engine")
        engine = find_program(state.program).version() if state else "?"
    facts = (
        ("date", time.strftime("%Y-%m-%d")),
        ("machine", machine()),
        ("database", engine),
        (f"loading {CONCEPTS:,} concepts", f"{took:.1f} s, {size / 1e6:.0f} MB in the database, indexes included"),
        ("memory of the worker (PSS) at the end", f"{memory:.0f} MB"),
    )
    return rows, facts


async def _asked(server: RunningServer, port: int, seconds: float) -> list[Answer]:
    for one in value_sets():
        status, body = await ask(port, request("PUT", f"/fhir/ValueSet/{one['id']}", json.dumps(one).encode()))
        if status != 201:
            raise ValueError(f"a value set was refused: {body[:300].decode(errors='replace')}")
    return await answers(port, server.workers()[0], server.engine(), seconds)


def _text(checked: Sequence[Cost], asked: Sequence[Answer], facts: tuple[tuple[str, str], ...]) -> str:
    lines = [
        "| resource, profile | bytes | FHIR itself, us | the profile besides, us | together, times | `$validate`, us |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.name} | {c.size:,} | {c.base:.0f} | {c.profile:.0f} | {c.ratio:.2f} | {c.advised:.0f} |" for c in checked
    ]
    lines += ["", "| question | codes | p50, p95 ms | CPU us, server + database |", "|---|---|---|---|"]
    lines += [
        f"| {a.name} | {a.codes or ''} | {a.p50:.2f}, {a.p95:.2f} | {a.process:,.0f} + {a.database:,.0f} |"
        for a in asked
    ]
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)]
    return "\n".join(lines)
