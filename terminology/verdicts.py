"""What is asked about a coding, and what was found out about it: where it stands, what to mind, the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

from terminology.issues import Finding
from terminology.languages import Languages


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the request a coding stands: a code with parameters beside it, a Coding, one of a CodeableConcept."""

    kind: str
    index: int = 0

    @property
    def whole(self) -> str:
        """The coding itself."""
        return {"code": "", "coding": "Coding"}.get(self.kind, f"CodeableConcept.coding[{self.index}]")

    def of(self, member: str) -> str:
        """One member of it."""
        return f"{self.whole}.{member}" if self.whole else member


@dataclass(frozen=True, slots=True)
class Rules:
    """What a check is asked to mind."""

    languages: Languages = field(default_factory=Languages)
    active_only: bool = False
    abstract_allowed: bool = True
    lenient_display: bool = False
    membership_only: bool = False


@dataclass
class Verdict:
    """What was found out about one coding."""

    system: str
    code: str
    version: str = ""
    display: str = ""
    is_member: bool = True
    normal_code: str = ""
    is_inactive: bool = False
    status: str = ""
    findings: list[Finding] = field(default_factory=list)
    unknown_system: str = ""
    causing_system: str = ""
    is_undecided: bool = False
    is_ambiguous: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the value set, or the code system where there is none, holds the code; None where nobody can tell.

        A wrong name alone does not make a code wrong, and a code of several systems is in the value set with each.
        """
        if self.is_undecided:
            return None
        wrong = {f.kind for f in self.findings if f.severity == "error"} - {"invalid-display"}
        if self.is_ambiguous and wrong <= {"cannot-infer", "not-in-vs"}:
            return True
        if wrong:
            return None if wrong == {"not-found"} else False
        return self.is_member

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong with the coding."""
        return not any(f.severity == "error" for f in self.findings)

    def add(
        self, severity: str, code: str, kind: str, text: str, where: str, name: str, *, is_said: bool = True
    ) -> None:
        """Note one finding; see Finding."""
        self.findings.append(Finding(severity, code, kind, text, where, name, is_said))
