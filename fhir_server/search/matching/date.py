"""Dates: both sides are intervals of time. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_server.fhir.dates import parse_search_date
from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked
from fhir_server.search.query import Filter, unescape
from fhir_server.search.values import times

WANTED = "a date such as 2026, 2026-11 or ge2026-11-23T09:00:00Z"

Comparison = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class DateAsked:
    """A parsed date: the search covers [low, high) in milliseconds."""

    prefix: str
    low: int
    high: int

    def near(self, now: int) -> tuple[int, int]:
        """Return what `ap` covers: wider to each side by its own width or a tenth of its distance to now."""
        fuzz = max(self.high - self.low, abs(now - self.low) // 10)
        return self.low - fuzz, self.high + fuzz


def asked_date(text: str) -> DateAsked:
    """Return the date of a search value, still escaped. Raises ValueError with what was wanted."""
    try:
        return DateAsked(*parse_search_date(unescape(text)))
    except ValueError:
        raise ValueError(WANTED) from None


def comparison(date: DateAsked, now: int) -> Comparison:
    """Return the test of a value's interval [start, end)."""
    low, high = date.near(now) if date.prefix == "ap" else (date.low, date.high)
    tests: dict[str, Comparison] = {
        "eq": lambda start, end: low <= start and end <= high,
        "ne": lambda start, end: start < low or end > high,
        "gt": lambda start, end: end > high,
        "lt": lambda start, end: start < low,
        "ge": lambda start, end: end > high or start >= low,
        "le": lambda start, end: start < low or end <= high,
        "sa": lambda start, end: start >= high,
        "eb": lambda start, end: end <= low,
        "ap": lambda start, end: start < high and end > low,
    }
    return tests[date.prefix]


def date_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a date filter. Raises InvalidRequest."""
    holds = [comparison(asked(one, asked_date, value), setting.now) for value in one.values]

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            for start, end in times(node.value, node.type):
                for hold in holds:
                    if hold(start, end):
                        return True
        return False

    return test
