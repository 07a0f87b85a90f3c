"""What is found in a response or a Questionnaire, and how much work may still be done to find more."""

from __future__ import annotations

from fhir_server.validation.findings import MAX_FINDINGS, Finding, Findings

MAX_STEPS = 300_000

_TOO_COSTLY = (
    "The check was given up: the conditions and options to look at are more than {} steps. Use fewer, or smaller ones."
)


class TooCostly(Exception):
    """The work that is left is more than a check may take."""


class Enough(Exception):
    """More findings than will be reported."""


class Report:
    """Collects findings, which carry their whole path, and counts steps."""

    def __init__(self) -> None:
        self.found: Findings = []
        self._errors = 0
        self._steps = MAX_STEPS

    def add(self, path: str, code: str, text: str, severity: str = "error") -> None:
        """Note a finding. Raises Enough when there are more errors than will be listed."""
        if severity == "error":
            self._errors += 1
        elif len(self.found) - self._errors > MAX_FINDINGS:
            return
        self.found.append(Finding(code, text, path, severity))
        if self._errors > MAX_FINDINGS:
            raise Enough

    def spend(self, steps: int) -> None:
        """Take steps from what may still be done. Raises TooCostly when there are none left."""
        self._steps -= steps
        if self._steps < 0:
            raise TooCostly

    def give_up(self) -> None:
        """Say that not everything was looked at."""
        self.found.append(Finding("too-costly", _TOO_COSTLY.format(MAX_STEPS)))

    def all(self) -> Findings | None:
        """Return what was found, errors first, in the order it was found; None when that is nothing."""
        order = {"error": 0, "warning": 1}
        return sorted(self.found, key=lambda row: order.get(row.severity, 2)) or None
