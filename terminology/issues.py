"""What a check of a code finds, in the kinds and words that terminology clients know.

The kinds are http://hl7.org/fhir/tools/CodeSystem/tx-issue-type, the words those of the terminology tests of HL7
(https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig), which tools compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.api import Failure, Issue, Json, NotFound, TooCostly, Unprocessable
from terminology.failures import Broken, TerminologyError, TooMany, Unknown, canonical

MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
KINDS = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue of a check.

    `name` is what tools know the message by, in any language; `is_said` is whether the message of the whole repeats it.
    """

    severity: str
    code: str
    kind: str
    text: str
    where: str = ""
    name: str = ""
    is_said: bool = True

    def issue(self) -> Json:
        """Return the finding as an issue of an OperationOutcome."""
        issue = Issue(self.code, self.text, self.where, severity=self.severity, details=(KINDS, self.kind)).to_json()
        return {"extension": [{"url": MESSAGE_ID, "valueString": self.name}], **issue} if self.name else issue


def message(findings: Sequence[Finding]) -> str:
    """Return the texts of the findings as one, each once and in order of the alphabet."""
    return "; ".join(sorted({f.text for f in findings if f.is_said}))


def refusal(error: TerminologyError) -> Failure:
    """Return the failure of a whole request, with the kind of issue in its details."""
    if isinstance(error, Unknown) and error.kind == "supplement":
        return NotFound(issues=[_issue("not-found", "not-found", missing_supplement(error.url, error.version))])
    if isinstance(error, Unknown) and error.kind == "ValueSet":
        return NotFound(issues=[_issue("not-found", "not-found", missing_value_set(error.url, error.version))])
    if isinstance(error, Unknown):
        return NotFound(issues=[_issue("not-found", "not-found", str(error))])
    if isinstance(error, TooMany):
        return TooCostly(issues=[Issue("too-costly", str(error), details=("", ""))])
    if isinstance(error, Broken) and error.reason in _BROKEN:
        code, kind = _BROKEN[error.reason]
        return Unprocessable(issues=[_issue(code, kind, str(error), error.expression)])
    return error.failure()


_BROKEN = {
    "cycle": ("processing", "vs-invalid"),
    "filter": ("invalid", "vs-invalid"),
    "language": ("processing", "invalid-display"),
    "version": ("exception", "version-error"),
}


def cannot_expand(unknown: Unknown) -> Issue:
    """Return the issue of a value set that needs a code system, or a version of it, which nobody has."""
    version = f" version '{unknown.version}'" if unknown.version else ""
    text = (
        f"A definition for CodeSystem '{unknown.url}'{version} could not be found, so the value set cannot be expanded"
    )
    if unknown.versions:
        text += f". Valid versions: {_either(unknown.versions)}"
    return _issue("not-found", "not-found", text)


def _issue(code: str, kind: str, text: str, where: str = "") -> Issue:
    return Issue(code, text, where, details=(KINDS, kind))


def missing_value_set(url: str, version: str = "") -> str:
    """Return what is said of a value set that nobody knows."""
    return f"A definition for the value Set '{canonical(url, version)}' could not be found"


def missing_supplement(url: str, version: str = "") -> str:
    """Return what is said of a supplement that nobody knows."""
    return f"Required supplement not found: {canonical(url, version)}"


def missing_system(url: str, *, quoted: bool) -> str:
    """Return what is said of a code system that nobody knows."""
    name = f"'{url}'" if quoted else url
    return f"A definition for CodeSystem {name} could not be found, so the code cannot be validated"


def missing_version(url: str, version: str, versions: Sequence[str]) -> str:
    """Return what is said of a version of a code system that nobody has, with those there are."""
    if not version:
        return missing_system(url, quoted=True)
    text = (
        f"A definition for CodeSystem '{url}' version '{version}' could not be found, so the code cannot be validated"
    )
    return f"{text}. Valid versions: {_either(versions)}" if versions else text


def _either(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def other_version(system: str, version: str, given: str) -> str:
    """Return what is said of a coding in another version than the value set wants."""
    return (
        f"The code system '{system}' version '{version}' in the ValueSet include is different to the one in the value "
        f"('{given}')"
    )


def unknown_code(code: str, system: str, version: str, *, is_fragment: bool = False) -> str:
    """Return what is said of a code that its system lacks."""
    first = "Unknown Code" if is_fragment else "Unknown code"
    known = f" version '{version}'" if version else ""
    text = f"{first} '{code}' in the CodeSystem '{system}'{known}"
    if not is_fragment:
        return text
    return (
        f"{text} - note that the code system is labeled as a fragment, so the code may be valid in some other fragment"
    )


def other_case(code: str, right: str, system: str) -> str:
    """Return what is said of a code in other letters than the code system writes it."""
    return (
        f"The code '{code}' differs from the correct code '{right}' by case. Although the code system '{system}' is "
        "case insensitive, implementers are strongly encouraged to use the correct case anyway"
    )


def not_in_value_set(coding: str, value_set: str) -> str:
    """Return what is said of a code that a value set lacks."""
    return f"The provided code '{coding}' was not found in the value set '{value_set}'"
