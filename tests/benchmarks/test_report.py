"""The harness itself: the same patients every time, and the page changed only between its markers."""

from __future__ import annotations

import pytest

from tests.benchmarks.measuring import Cost, Row
from tests.benchmarks.patients import OBSERVATIONS, transaction
from tests.benchmarks.report import BEGIN, END, replace_measured, table


def test_a_patient_is_the_same_every_time_and_no_other() -> None:
    assert transaction(3) == transaction(3)
    assert transaction(3) != transaction(4)


def test_a_patient_has_all_observations_and_they_refer_to_it() -> None:
    patient, *others = transaction(0)["entry"]
    assert len(others) == OBSERVATIONS
    assert {entry["resource"]["subject"]["reference"] for entry in others} == {patient["fullUrl"]}
    assert len({entry["fullUrl"] for entry in others}) == OBSERVATIONS


def test_a_report_replaces_what_is_between_the_markers_and_nothing_else() -> None:
    page = f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n"
    assert replace_measured(page, "new") == f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a line"):
        replace_measured("nothing here", "new")


def test_the_ratio_is_of_server_and_database_together() -> None:
    limit = Cost(process=100, database=100, requests=10, seconds=1)
    server = Cost(process=250, database=150, requests=10, seconds=2, p50=1.5, p99=20)
    row = Row("read", 0, limit, server)
    assert row.ratio == 2.0
    assert table([row]).splitlines()[-1] == "| read |  | 100 + 100 (10) | 250 + 150 (5; 1.5/20.0) | 2.00 |"
