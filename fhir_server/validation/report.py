"""Findings that carry their whole path, and how much work may still be done to find more."""

from __future__ import annotations

from fhir_server.validation.findings import MAX_FINDINGS, Finding, Findings

MAX_STEPS = 300_000

_TOO_COSTLY = f"The check was given up after {MAX_STEPS} steps: there is too much to compare with each other."


class TooCostly(Exception):
    """The work that is left is more than a check may take."""


class Enough(Exception):
    """There are more errors than will be listed."""


class Report:
    """Collects findings and counts steps."""

    def __init__(self) -> None:
        self._errors: Findings = []
        self._advice: Findings = []
        self._steps = MAX_STEPS

    def wants(self, severity: str) -> bool:
        """Whether one more finding would be listed; a place need not be looked for where it would not."""
        return severity == "error" or len(self._advice) <= MAX_FINDINGS

    def add(self, path: str, code: str, text: str, severity: str = "error") -> None:
        """Note a finding. Raises Enough when there are more errors than will be listed."""
        rows = self._errors if severity == "error" else self._advice
        if len(rows) > MAX_FINDINGS:
            if severity == "error":
                raise Enough
            return
        rows.append(Finding(code, text, path, severity))

    def spend(self, steps: int) -> None:
        """Take steps from what may still be done. Raises TooCostly when there are none left."""
        self._steps -= steps
        if self._steps < 0:
            raise TooCostly

    def give_up(self) -> None:
        """Say that not everything was looked at."""
        self._errors.append(Finding("too-costly", _TOO_COSTLY))

    def all(self) -> Findings | None:
        """Return what was found, errors before warnings before information; None when that is nothing."""
        return [*self._errors, *sorted(self._advice, key=lambda row: row.severity != "warning")] or None
