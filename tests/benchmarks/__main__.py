"""`make bench`: the server against the limit, work by work, on imaginary patients and an engine of its own.

docs/benchmarks.md says what the figures mean. Nothing leaves 127.0.0.1, and all data is gone at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from fhir_server.store.documents import INDEXES, RESOURCES
from fhir_server.store.engine import running_engine
from fhir_server.store.engine_probe import free_port, listens
from fhir_server.store.engine_programs import find_program
from fhir_server.store.engine_state import read_state
from tests.benchmarks import report
from tests.benchmarks.importing import measure_import
from tests.benchmarks.load import ask, request
from tests.benchmarks.measuring import Row, Side, measure
from tests.benchmarks.patients import transaction
from tests.benchmarks.processes import machine, memory_megabytes
from tests.benchmarks.search import command as search
from tests.benchmarks.validation import command as validation
from tests.benchmarks.works import Work, database_of, works
from tests.running import ROOT, RunningServer, running_server

PAGE = ROOT / "docs" / "benchmarks.md"
PATIENCE = 20


def main() -> None:
    """Measure, print, and with --write put the figures into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2, help="how long each of the rounds takes")
    parser.add_argument("--patients", type=int, default=40, help="how many there are, with 110 observations each")
    parser.add_argument("--write", action="store_true", help=f"update {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as folder:
        found = _run(Path(folder), given.patients, given.seconds)
    print(found)
    if given.write:
        report.write(PAGE, found)


def _run(folder: Path, patients: int, seconds: int) -> str:
    began = time.monotonic()
    files = folder / "files"
    files.mkdir()
    with running_server(folder, FHIR_IMPORT_DIR=str(files)) as server:
        server.seconds_to_answer(PATIENCE)
        start = time.monotonic() - began
        at_rest = memory_megabytes(server.workers()[0])
        asyncio.run(_fill(_port(server), patients))
        url = running_engine(folder / "engine")
        assert url, "the engine of a server that answers is running"
        size = _index_size(url)
        todo, plan = asyncio.run(works(url))
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        rows = asyncio.run(_measure(server, todo, folder / "plan.json", seconds))
        side = (_port(server), server.workers()[0], server.engine())
        rows.append(asyncio.run(measure_import(files, *side, url, plan["database"])))
        print(f"{rows[-1].name}: {rows[-1].ratio:.2f} times the limit", file=sys.stderr)
        under_load = memory_megabytes(server.workers()[0])
    facts = (
        ("date", time.strftime("%Y-%m-%d")),
        ("machine", machine()),
        ("software", _software(folder)),
        ("data", f"{patients} patients, {size[0]:,} resources, {size[1] / 1e6:.1f} MB as JSON"),
        ("index of the resources", f"{size[2] / 1e6:.1f} MB, {size[2] / size[1]:.2f} times the JSON"),
        ("index keys a resource", f"{size[3]:.1f}, `_id` included"),
        ("memory of a worker (PSS)", f"{at_rest:.0f} MB at the start, {under_load:.0f} MB at the end"),
        ("start to the first answer", f"{start:.1f} s, engine on an empty folder included"),
    )
    return report.text(rows, report.Facts(facts))


async def _fill(port: int, patients: int) -> None:
    for number in range(patients):
        status, body = await ask(port, request("POST", "/fhir", json.dumps(transaction(number)).encode()))
        if status != 200:
            raise ValueError(f"patient {number} was refused: {body[:300].decode(errors='replace')}")


async def _measure(server: RunningServer, todo: Sequence[Work], plan: Path, seconds: int) -> list[Row]:
    rows = []
    engine = server.engine()
    with _running_limit(plan) as (port, process):
        for work in todo:
            sides = Side(port, process, engine), Side(_port(server), server.workers()[0], engine)
            rows.append(await measure(work, *sides, seconds))
            print(f"{work.name}: {rows[-1].ratio:.2f} times the limit", file=sys.stderr)
    return rows


@contextmanager
def _running_limit(plan: Path) -> Iterator[tuple[int, int]]:
    """Run the limit with the server's own HTTP stack; give its port and process."""
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools")
    quiet = ("--no-access-log", "--no-server-header", "--log-level", "warning", "--no-proxy-headers")
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.limit:app", *options, *quiet]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"BENCH_PLAN": str(plan)})
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the bare app did not start")
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _index_size(url: str) -> tuple[int, float, float, float]:
    """Return how many resources there are, their JSON's bytes, their index's bytes, and index keys a resource."""
    count, data, keys = 0, 0, 0
    with database_of(url) as database:
        for document in database[RESOURCES].find():
            count += 1
            data += len(document["raw"])
            arrays = [[name for name in row["key"] if name in ("t", "s")] for row in INDEXES[RESOURCES]]
            keys += 1 + sum(len(document.get(names[0], (None,))) if names else 1 for names in arrays)
        sizes = database.command("collStats", RESOURCES).get("indexSizes", {})
    return count, data, sum(sizes.values()), keys / count


def _software(folder: Path) -> str:
    state = read_state(folder / "engine")
    engine = find_program(state.program).version() if state else "?"
    parts = [f"{name} {version(name)}" for name in ("mongojet", "pymongo", "uvicorn", "msgspec")]
    return ", ".join([f"Python {platform.python_version()}", engine, *parts])


def _port(server: RunningServer) -> int:
    port = urlsplit(server.url).port
    assert port
    return port


if __name__ == "__main__":
    if sys.argv[1:2] == ["search"]:
        search.main(sys.argv[2:])
    elif sys.argv[1:2] == ["validation"]:
        validation.main(sys.argv[2:])
    else:
        main()
