"""The report of a run: what each query took at each size, what the index takes, and a picture of the growth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.search.timing import Timing


@dataclass(frozen=True, slots=True)
class Size:
    """A database of one size and what was measured on it."""

    patients: int
    resources: int
    data: int
    index: float
    keys: int
    loaded_each: float
    timings: tuple[Timing, ...]


def text(sizes: Sequence[Size], facts: Sequence[tuple[str, str]]) -> str:
    """Return the whole report in Markdown."""
    others = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return f"{table(sizes)}\n\n{data_table(sizes)}\n\n| | |\n|---|---|\n{others}"


def table(sizes: Sequence[Size]) -> str:
    """Return a row for each query: matches, p50/p95, CPU of server and database at each size, and how both grew."""
    heads = "".join(f" {_patients(size)}: matches, p50/p95 ms (CPU us) |" for size in sizes)
    lines = [f"| query |{heads} grew: p50, CPU |", "|---|" + "---|" * (len(sizes) + 1)]
    for row in rows(sizes):
        cells = "".join(f" {_cell(timing)} |" for timing in row)
        lines.append(f"| {row[0].name} |{cells} {_growth(row)} |")
    return "\n".join(lines)


def rows(sizes: Sequence[Size]) -> list[tuple[Timing, ...]]:
    """Return the timings of each query, one for each size."""
    return list(zip(*(size.timings for size in sizes), strict=True))


def line(timing: Timing) -> str:
    """Return one query's figures for the terminal, while the others are still to come."""
    return f"{timing.name}: {_cell(timing)}"


def data_table(sizes: Sequence[Size]) -> str:
    """Return what lies in the database at each size."""
    lines = ["| data |" + "".join(f" {_patients(size)} |" for size in sizes), "|---|" + "---|" * len(sizes)]
    facts: tuple[tuple[str, Callable[[Size], str]], ...] = (
        ("resources", lambda s: f"{s.resources:,}"),
        ("JSON, MB", lambda s: f"{s.data / 1e6:,.0f}"),
        ("index, bytes a resource", lambda s: f"{s.index / s.resources:,.0f}"),
        ("index, times the JSON", lambda s: f"{s.index / s.data:.2f}"),
        ("index keys a resource, `_id` included", lambda s: f"{s.keys / s.resources:.1f}"),
        ("loaded, resources a second", lambda s: f"{s.loaded_each:,.0f}"),
    )
    lines += [f"| {name} |" + "".join(f" {value(size)} |" for size in sizes) for name, value in facts]
    return "\n".join(lines)


def _patients(size: Size) -> str:
    return f"{size.patients:,} patients"


def _cell(timing: Timing) -> str:
    if timing.wrong:
        return f"not answered: {timing.wrong.replace('|', '/')}"
    times = f"{_short(timing.p50)}/{_short(timing.p95)}"
    return f"{timing.matches:,}, {times} ({timing.process:,.0f} + {timing.database:,.0f})"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _growth(row: Sequence[Timing]) -> str:
    if len(row) < 2 or row[0].wrong or row[-1].wrong:
        return ""
    cpu = (row[-1].process + row[-1].database) / (row[0].process + row[0].database)
    return f"{row[-1].p50 / row[0].p50:.1f} x, {cpu:.1f} x"
