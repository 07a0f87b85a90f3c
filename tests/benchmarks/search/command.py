"""`make bench search`: everyday queries on a database that grows from size to size, and how their cost grows with it.

docs/benchmarks.md says what the figures mean. All data is gone at the end, and nothing leaves 127.0.0.1 unless
FHIR_TEST_MONGODB_URL names a database elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from fhir_server.api.tenant import Scope
from fhir_server.fhir.definitions import r4
from fhir_server.search.editions import Editions
from fhir_server.store.documents import RESOURCES
from fhir_server.store.driver import Driver
from fhir_server.store.engine import running_engine
from fhir_server.store.engine_programs import find_program
from fhir_server.store.engine_state import read_state
from fhir_server.store.mongo import MongoStore, connect
from tests.benchmarks import report
from tests.benchmarks.asked import asking, line
from tests.benchmarks.processes import cpu_seconds, machine
from tests.benchmarks.search import growth
from tests.benchmarks.search.clinic import DENSITY, MOST_EACH
from tests.benchmarks.search.growth import Size
from tests.benchmarks.search.loading import Tally, grow, refuse_what_does_not_fit
from tests.benchmarks.search.picture import picture
from tests.benchmarks.search.queries import KNOWN, Query, queries
from tests.benchmarks.search.timing import Place, Timing, time_query
from tests.running import ROOT, RunningServer, running_server

PATIENCE = 20
IDLE = 0.05
SIZES = (1_000, 4_000, 16_000, 64_000)
QUICK, QUICK_EACH, QUICK_SECONDS = (200, 2_000), 20, 0.7
BEGIN = '<!-- measured: written by `make bench ARGS="search --write"` -->'
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "search-growth.svg"
CACHE_MB = 4096
TENANT = "default"


def main(arguments: Sequence[str]) -> None:
    """Load, measure and print; with --write put the figures into docs/benchmarks.md."""
    given = _given(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that processes and files end with us
    with tempfile.TemporaryDirectory(prefix="fhir-bench-") as folder:
        try:
            refuse_what_does_not_fit(Path(folder), given.patients[-1], given.each, CACHE_MB)
        except ValueError as error:
            sys.exit(str(error))
        sizes = asyncio.run(_run(Path(folder), given))
        facts = [("date", time.strftime("%Y-%m-%d")), ("machine", machine()), ("database", _database(Path(folder)))]
    found = growth.text(sizes, [*facts, ("data", _data(given.each))])
    print(found)
    if given.write:
        report.write(PAGE, f"{found}\n\n![how p50 grows with the patients]({PICTURE.name})", BEGIN)
        PICTURE.write_text(picture([s.patients for s in sizes], growth.rows(sizes)), encoding="utf-8")
    if any(timing.wrong for size in sizes for timing in size.timings):
        sys.exit("not every query was answered as it must be")


def _given(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks search", description=__doc__)
    parser.add_argument("--patients", type=_numbers, default=SIZES, help="the sizes, such as 1000,4000")
    parser.add_argument("--quick", action="store_true", help="200 and 2000 patients, 20 resources each, in 3 minutes")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each query is asked at each size")
    parser.add_argument(
        "--each",
        type=int,
        default=MOST_EACH,
        help="most resources of a patient; 12 or more",
    )
    parser.add_argument("--write", action="store_true", help=f"update {PAGE.relative_to(ROOT)}")
    parser.add_argument("--asked", action="store_true", help="say also what each query asks of the database")
    parser.add_argument("--only", default="", help="only the queries whose names contain this text")
    given = parser.parse_args(arguments)
    if given.quick:
        given.patients, given.each, given.seconds = QUICK, QUICK_EACH, QUICK_SECONDS
    return given


def _numbers(text: str) -> tuple[int, ...]:
    found = tuple(sorted({int(part) for part in text.split(",")}))
    if found[0] < KNOWN or found[-1] > DENSITY[-1][0]:
        raise argparse.ArgumentTypeError(f"a clinic has at least {KNOWN} patients and at most {DENSITY[-1][0]}")
    return found


async def _run(folder: Path, given: argparse.Namespace) -> list[Size]:
    elsewhere = os.environ.get("FHIR_TEST_MONGODB_URL", "")
    prefix = f"bench{uuid4().hex[:8]}"
    settings = {"FHIR_DATABASE_PREFIX": prefix, "FHIR_ENGINE_CACHE_MB": str(CACHE_MB)}
    if elsewhere:
        settings["FHIR_MONGODB_URL"] = elsewhere
    with running_server(folder, workers=1, **settings) as server:
        server.seconds_to_answer(PATIENCE)
        url = elsewhere or running_engine(folder / "engine")
        assert url, "the engine of a server that answers is running"
        driver = await connect(url)
        store = MongoStore(driver, prefix)
        place = Place(_port(server), server.workers()[0], 0 if elsewhere else server.engine())
        sizes = []
        try:
            async for tally, rate in _growing(store, given.patients, given.each):
                await _settled(place.database)
                todo = [query for query in queries(tally) if given.only in query.name]
                timings = [await _timed(query, place, given.seconds) for query in todo]
                index = await _index_bytes(driver, f"{prefix}_{TENANT}")
                sizes.append(Size(tally.patients, tally.resources, tally.data, index, tally.keys, rate, tuple(timings)))
                if given.asked:
                    await _show_asked(todo, url, prefix)
        finally:
            if elsewhere:
                await store.drop_everything()
            await driver.close()
    return sizes


async def _growing(store: MongoStore, sizes: Sequence[int], each: int) -> AsyncIterator[tuple[Tally, float]]:
    tenant = await store.tenant(TENANT)
    assert tenant is not None, "a server that started has made its tenant"
    indexer = Editions(r4()).of(tenant).indexer
    tally = Tally(each)
    for patients in sizes:
        rate = await grow(store.records(Scope(tenant)), indexer, tenant, tally, patients)
        _say(f"{patients:,} patients, {tally.resources:,} resources, loaded {rate:,.0f} a second")
        yield tally, rate


async def _settled(database: int) -> None:
    """Wait until the database has put away what it was given, or it would be timed with the first queries."""
    deadline = time.monotonic() + PATIENCE
    while database and time.monotonic() < deadline:
        before = cpu_seconds([database])
        await asyncio.sleep(1)
        if cpu_seconds([database]) - before < IDLE:
            return


async def _timed(query: Query, place: Place, seconds: float) -> Timing:
    timing = await time_query(query, place, seconds)
    _say(growth.line(timing))
    return timing


async def _show_asked(todo: Sequence[Query], url: str, prefix: str) -> None:
    async with asking(url, prefix) as ask:
        for query in todo:
            _say(f"\n{query.name}: {query.targets[0]}")
            for step in await ask(query.targets[0]):
                _say(f"    {line(step)}")


async def _index_bytes(driver: Driver, database: str) -> int:
    statistics = await driver.command(database, {"collStats": RESOURCES})
    return int(sum(statistics.get("indexSizes", {}).values()))


def _database(folder: Path) -> str:
    if os.environ.get("FHIR_TEST_MONGODB_URL"):
        return "that of FHIR_TEST_MONGODB_URL"
    state = read_state(folder / "engine")
    return f"{find_program(state.program).version()}, {CACHE_MB} MB cache" if state else "?"


def _data(each: int) -> str:
    parts = (f"{size} up to patient {below:,}" for below, size in DENSITY)
    most = f", at most {each}" if each < MOST_EACH else ""
    return f"resources of a patient: {', '.join(parts)}{most}; loaded without HTTP and validation"


def _port(server: RunningServer) -> int:
    port = urlsplit(server.url).port
    assert port
    return port


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
