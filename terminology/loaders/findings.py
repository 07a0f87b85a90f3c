"""What is wrong with the files of a release: collected by file and line, as the issues of one refusal.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from fhir_server.api import Issue, Unprocessable

MOST_NAMED = 20
MOST_SKIPPED = 10_000


class Findings:
    """Bad rows. Where a load is strict any of them refuses it, in the end, when the first 20 are known.

    A lenient load leaves bad rows out, counts them and names the first 20; past 10,000 it is refused all the same, for
    then it is the wrong file rather than a few wrong rows.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.count = 0
        self.issues: list[Issue] = []

    @property
    def refuses(self) -> bool:
        """Whether the load cannot succeed any more; what is still read is read for its findings only."""
        return self.count > 0 and not self.lenient

    def bad(self, file: str, line: int, text: str) -> None:
        """Note a row that is left out. Raises Unprocessable when there are too many."""
        self.count += 1
        if len(self.issues) < MOST_NAMED:
            self.issues.append(Issue("invalid", f"{place(file, line)}: {text}", location=place(file, line)))
        if self.count >= (MOST_SKIPPED if self.lenient else MOST_NAMED):
            raise self.failure()

    def close(self) -> None:
        """Raises Unprocessable with all there is, if that refuses the load."""
        if self.refuses:
            raise self.failure()

    def failure(self) -> Unprocessable:
        """Return the refusal."""
        return Unprocessable(issues=self.issues)


def broken(file: str, line: int, text: str) -> Unprocessable:
    """Return the refusal of a file that cannot be read on from here, strict or lenient."""
    where = place(file, line)
    return Unprocessable(issues=[Issue("structure", f"{where}: {text}", location=where)])


def place(file: str, line: int) -> str:
    """Return how a line of a file is named; line 0 is the file as a whole."""
    return f"{file}, line {line}" if line else file
