"""What an import did: counts by type, the first refusals for people, all of them as OperationOutcomes.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from rich.console import Console
from rich.table import Table

from fhir_server.cli.importing.shipments import Refusal
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue, operation_outcome

SHOWN = 20
CREATED, OTHER, CHECKED, REFUSED = "created", "there already", "readable", "refused"
_UNREADABLE = "(unreadable)"


class Report:
    """Counts what is told to it; keeps no more than SHOWN lines of text, however much is refused."""

    def __init__(self, errors: BinaryIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.lines: list[str] = []
        self.issues = 0
        self._errors = errors
        self._clock = clock
        self._start = clock()

    def count(self, kind: str, what: str) -> None:
        """Count one record of a resource type."""
        self.counts[kind, what] += 1

    def refuse(self, refusal: Refusal) -> None:
        """Count what was refused, and keep or write why."""
        for kind in refusal.types:
            self.counts[kind or _UNREADABLE, REFUSED] += 1
        located = [replace(issue, location=str(refusal.place)) for issue in refusal.issues]
        self.lines += [_line(issue) for issue in located[: SHOWN - len(self.lines)]]
        self.issues += len(located)
        if self._errors:
            self._errors.write(encode(operation_outcome(located)) + b"\n")

    def total(self, *whats: str) -> int:
        """Return how many records were counted as any of these, or as anything."""
        return sum(number for (_, what), number in self.counts.items() if not whats or what in whats)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was refused."""
        return self.issues == 0

    def show(self, console: Console) -> None:
        """Print the refusals, the table of types and the rate."""
        for line in self.lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if self.issues > len(self.lines):
            console.print(f"and {self.issues - len(self.lines):,} more; --errors FILE writes them all", highlight=False)
        if self.counts:
            console.print(self._table())
        seconds = max(self._clock() - self._start, 0.001)
        done = self.total(CREATED, OTHER, CHECKED)
        console.print(
            f"{done:,} {'readable' if self.total(CHECKED) else 'stored'}, {self.total(REFUSED):,} refused "
            f"in {seconds:,.1f} s ({done / seconds:,.0f}/s)",
            highlight=False,
            soft_wrap=True,
        )

    def _table(self) -> Table:
        columns = [what for what in (CREATED, OTHER, CHECKED, REFUSED) if self.total(what)]
        table = Table("type")
        for column in columns:
            table.add_column(column, justify="right")
        for kind in sorted({kind for kind, _ in self.counts}):
            table.add_row(kind, *(f"{self.counts[kind, column]:,}" for column in columns))
        return table


def _line(issue: Issue) -> str:
    at = f" at {issue.expression}" if issue.expression else ""
    return f"{issue.location}: {issue.code}{at}: {issue.diagnostics}"
