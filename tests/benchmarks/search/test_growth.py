"""The report of the growth, the picture of it, and the check of an answer before it is timed."""

from __future__ import annotations

import asyncio
import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from tests.benchmarks.search.command import main
from tests.benchmarks.search.growth import Size, data_table, rows, table
from tests.benchmarks.search.picture import picture
from tests.benchmarks.search.queries import Query
from tests.benchmarks.search.timing import Place, Timing, time_query

SVG = "{http://www.w3.org/2000/svg}"
FLAT = Timing("flat", 1, 1, 1.0, 2.0, 300, 200, 9)
STEEP = Timing("steep", 5, 5, 4.0, 5.0, 300, 2_000, 9)
BROKEN = Timing("steep", wrong="400 a|b")


def _size(patients: int, *timings: Timing) -> Size:
    return Size(patients, 10 * patients, 5_000 * patients, 20_000 * patients, 200 * patients, 1_234.5, timings)


def test_the_table_has_a_row_a_query_and_says_how_it_grew() -> None:
    slower = Timing("steep", 50, 20, 400.4, 500.0, 310, 20_000, 5)
    assert table([_size(200, FLAT, STEEP), _size(2_000, FLAT, slower)]).splitlines()[2:] == [
        "| flat | 1, 1.0/2.0 (300 + 200) | 1, 1.0/2.0 (300 + 200) | 1.0 x, 1.0 x |",
        "| steep | 5, 4.0/5.0 (300 + 2,000) | 50, 400/500 (310 + 20,000) | 100.1 x, 8.8 x |",
    ]


def test_a_wrong_answer_has_no_figures_and_no_growth() -> None:
    assert table([_size(200, STEEP), _size(2_000, BROKEN)]).splitlines()[-1] == (
        "| steep | 5, 4.0/5.0 (300 + 2,000) | not answered: 400 a/b |  |"
    )


def test_the_data_of_a_size_is_told_by_resource() -> None:
    assert data_table([_size(200)]).splitlines()[2:] == [
        "| resources | 2,000 |",
        "| JSON, MB | 1 |",
        "| index, bytes a resource | 2,000 |",
        "| index, times the JSON | 4.00 |",
        "| index keys a resource, `_id` included | 20.0 |",
        "| loaded, resources a second | 1,234 |",
    ]


def test_the_picture_has_a_panel_a_query_and_a_point_an_answer() -> None:
    made = ElementTree.fromstring(
        picture([200, 2_000], rows([_size(200, FLAT, STEEP), _size(2_000, FLAT, BROKEN)])).encode()
    )
    panels = made.findall(f"{SVG}g")
    assert [panel.findtext(f"{SVG}text") for panel in panels] == ["flat", "steep"]
    assert [len(panel.findall(f"{SVG}circle")) for panel in panels] == [2, 1]
    heights = [circle.get("cy") for circle in panels[0].findall(f"{SVG}circle")]
    assert len(set(heights)) == 1


Answers = Callable[[str], dict[str, Any]]


async def _timed(query: Query, answers: Answers) -> tuple[Timing, list[str]]:
    """Time a query on a server that gives the answers, and return what that server was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                asked.append(head.split()[1].decode())
                body = json.dumps(answers(asked[-1])).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        place = Place(server.sockets[0].getsockname()[1], os.getpid())
        return await time_query(query, place, 0.05), asked


def _found(target: str) -> dict[str, Any]:
    """A search that has 70 pages of one entry each."""
    number = int(target.partition("page=")[2].partition("&")[0] or 1)
    links = [{"relation": "next", "url": f"http://x/fhir/Patient?page={number + 1}"}] if number < 70 else []
    return {"total": 70, "entry": [{}], "link": links} if "_summary" in target else {"entry": [{}], "link": links}


async def test_a_query_is_timed_with_its_targets_in_turn() -> None:
    timing, asked = await _timed(Query("name", ("Patient?name=a", "Patient?name=b"), 70), _found)
    assert (timing.matches, timing.entries, timing.wrong) == (70, 1, "")
    assert set(asked) == {"/fhir/Patient?name=a", "/fhir/Patient?name=a&_summary=count", "/fhir/Patient?name=b"}
    assert 0 < timing.p50 <= timing.p95
    assert timing.database == 0.0


async def test_a_deep_query_is_timed_on_the_pages_from_the_fiftieth() -> None:
    _, asked = await _timed(Query("deep", ("Patient?page=1",), deep=True), _found)
    timed = {int(target.partition("page=")[2]) for target in asked[-15:]}
    assert min(timed) == 50
    assert max(timed) == 59


async def test_a_query_that_counts_another_number_than_was_loaded_is_not_timed() -> None:
    timing, asked = await _timed(Query("name", ("Patient?name=a",), 71), _found)
    assert timing == Timing("name", 70, 1, wrong="70 are counted, where 71 were loaded")
    assert len(asked) == 2


def test_a_clinic_smaller_than_its_known_patients_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--patients", "5"])
    assert "a clinic has at least 200 patients" in capsys.readouterr().err
