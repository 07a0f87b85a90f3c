"""Versions: which one is later, which one fits what was asked for."""

from __future__ import annotations

import pytest

from terminology.versions import fits, latest, order, split


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("1.9", "1.10"),
        ("1.0.0", "1.0.1"),
        ("1.0", "1.0.1"),
        ("1.0-rc", "1.0"),
        ("2023-04", "2024-01"),
        ("20230401", "20240101"),
        ("", "1"),
        ("a", "b"),
        ("http://snomed.info/sct/1/version/20230401", "http://snomed.info/sct/1/version/20240101"),
    ],
)
def test_versions_are_ordered_as_people_count(earlier: str, later: str) -> None:
    assert order(earlier) < order(later)


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("1.2.3", "", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.2", False),
        ("1.2.3", "1.x", True),
        ("1.2.3", "1.2.x", True),
        ("1.2.3", "1.x.x", True),
        ("1.2.3", "1.3.x", False),
        ("1.2.3", "2.x", False),
        ("1", "1.x", False),
        ("x", "1", False),
    ],
)
def test_a_wildcard_stands_for_any_part(version: str, wanted: str, expected: bool) -> None:
    assert fits(version, wanted) is expected


def test_the_latest_that_fits_is_taken() -> None:
    known = [("1.2", "a"), ("1.10", "b"), ("2.0", "c")]
    assert (latest(known), latest(known, "1.x"), latest(known, "1.2"), latest(known, "3")) == ("c", "b", "a", None)


def test_a_canonical_is_split_at_its_version() -> None:
    assert (split("http://x|1|2"), split("http://x")) == (("http://x", "1|2"), ("http://x", ""))
