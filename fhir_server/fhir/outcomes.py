"""OperationOutcome: what went wrong, where, and the way out. https://hl7.org/fhir/R4/operationoutcome.html"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. `code` is from the IssueType value set; `expression` is the FHIRPath of the element it is about.

    `location` names a place FHIRPath cannot: a line, a segment, a header, a query parameter (`http.count`). `details`
    is (system, code) of a finer kind of issue, or two empty texts; the text stands beside it then.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: str = "error"
    location: str = ""
    details: tuple[str, str] | None = None

    def to_json(self) -> Json:
        """Return the issue as an OperationOutcome.issue element."""
        row: Json = {"severity": self.severity, "code": self.code}
        if self.details is None:
            row["diagnostics"] = self.diagnostics
        else:
            system, code = self.details
            coding = {"coding": [{"system": system, "code": code}]} if code else {}
            row["details"] = {**coding, "text": self.diagnostics}
        if self.location:
            row["location"] = [self.location]
        if self.expression:
            row["expression"] = [self.expression]
        return row


def operation_outcome(issues: Iterable[Issue]) -> Json:
    """Return an OperationOutcome of the issues, or one that says all is well when there are none."""
    rows = [issue.to_json() for issue in issues]
    if not rows:
        rows = [Issue("informational", "All OK", severity="information").to_json()]
    return {"resourceType": "OperationOutcome", "issue": rows}
