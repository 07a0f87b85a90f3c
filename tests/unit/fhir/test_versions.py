"""The order of versions, and the ranges that dependencies name."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fhir_server.fhir.versions import fits, is_exact, newest, order


def test_versions_sort_by_their_numbers_and_releases_come_last() -> None:
    ascending = [
        "", "draft", "1", "1.0", "1.0.0-alpha", "1.0.0-alpha.2", "1.0.0-alpha.10", "1.0.0-rc", "1.0.0", "1.2.0",
        "1.10.0", "2.0.0-ballot", "2.0.0", "2023.1", "20240101",
    ]  # fmt: skip
    assert all(order(one) < order(other) for one, other in pairwise(ascending))
    assert order("1.0.0+build.7") == order("1.0.0")
    assert order("9" * 5000) < order("1")  # no number, and no time is spent on it


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("1.0.0", "1.0.0", True),
        ("1.0.0+b", "1.0.0", True),
        ("1.0.1", "1.0.0", False),
        ("1.0.0-rc", "1.0.0", False),
        ("1.0.7", "1.0.x", True),
        ("1.0.7", "1.0.X", True),
        ("1.0.7", "1.0.*", True),
        ("1.1.0", "1.0.x", False),
        ("1.1.0", "1.x", True),
        ("1.1.0", "1.x.x", True),
        ("1.1.5", "1.x.5", True),
        ("1.1.6", "1.x.5", False),
        ("10.0.0", "1.x", False),
        ("1.0.0-rc", "1.0.x", True),
        ("1", "1.0.x", False),
        ("5.0.0", "x", True),
        ("5.0.0", "latest", True),
        ("5.0.0", "", True),
        ("5.0.0", "current", False),
    ],
)
def test_which_versions_fit(version: str, wanted: str, expected: bool) -> None:
    assert fits(version, wanted) is expected


def test_the_newest_that_fits_and_a_release_before_a_draft() -> None:
    there = ["1.0.0", "1.0.9", "1.0.10", "1.1.0", "2.0.0-ballot"]
    wanted = ("1.0.x", "", "latest", "2.x", "3.x", "1.0.9")
    assert [newest(there, one) for one in wanted] == ["1.0.10", "1.1.0", "1.1.0", "2.0.0-ballot", None, "1.0.9"]
    assert newest([]) is None


def test_ranges_are_not_exact() -> None:
    assert [is_exact(one) for one in ("1.0.0", "1.0.x", "latest", "", "*")] == [True, False, False, False, False]
