"""The table of a run, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measuring import Cost, Row

BEGIN = "<!-- measured: written by `make bench ARGS=--write` -->"
END = "<!-- end of measured -->"


@dataclass(frozen=True, slots=True)
class Facts:
    """What else is measured, and on what: pairs of a name and a value, in the order shown."""

    rows: tuple[tuple[str, str], ...]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| work | entries | the limit: CPU us, app + database (req/s) | the server (req/s; p50/p99 ms) | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        server = f"{_cost(row.server)} ({row.server.per_second:,.0f}; {row.server.p50:.1f}/{row.server.p99:.1f})"
        limit = f"{_cost(row.limit)} ({row.limit.per_second:,.0f})"
        lines.append(f"| {row.name} | {row.entries or ''} | {limit} | {server} | {row.ratio:.2f} |")
    return "\n".join(lines)


def text(rows: Sequence[Row], facts: Facts) -> str:
    """Return the whole report in Markdown."""
    others = "\n".join(f"| {name} | {value} |" for name, value in facts.rows)
    return f"{table(rows)}\n\n| | |\n|---|---|\n{others}"


def replace_measured(page: str, report: str, marker: str = BEGIN) -> str:
    """Return the page with what is between a marker and its end replaced. Raises ValueError if it lacks them."""
    before, begin, rest = page.partition(marker)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page must have a line {marker} and below it a line {END}")
    return f"{before}{marker}\n\n{report}\n\n{END}{after}"


def write(path: Path, report: str, marker: str = BEGIN) -> None:
    """Put a report between a marker of a page and its end."""
    path.write_text(replace_measured(path.read_text(encoding="utf-8"), report, marker), encoding="utf-8")


def _cost(cost: Cost) -> str:
    return f"{cost.process:,.0f} + {cost.database:,.0f}"
