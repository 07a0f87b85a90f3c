"""What a check found, as the Parameters that $validate-code answers with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.api import InvalidRequest, Json, Parameters
from terminology.checking import Checker
from terminology.failures import TerminologyError, Unknown, canonical
from terminology.issues import Finding, message, missing_value_set
from terminology.shapes import codings_of, shaped
from terminology.verdicts import Place, Verdict


def one_coding(said: Parameters, system: str = "", version: str = "") -> tuple[Json, Place] | None:
    """Return the coding of a call that is about one, or None where it sends a CodeableConcept.

    `system` and `version` are those of the code system that the call is about, if it is about one.
    """
    if said.one("coding") is not None:
        return shaped(dict(said.one("coding")), "Coding"), Place("coding")
    if said.one("code") is None:
        return None
    given = {
        "system": said.one("system") or system,
        "version": said.one("systemVersion") or ((said.one("version") or version) if system else None),
        "code": said.one("code"),
        "display": said.one("display"),
    }
    return {k: v for k, v in given.items() if v}, Place("code")


async def report(checker: Checker, said: Parameters, system: str = "", version: str = "") -> Json:
    """Check what a call sends and return the answer; a plain code is one of `system` where it names none.

    Raises InvalidRequest where the call has nothing to check.
    """
    single = one_coding(said, system, version)
    concept = said.one("codeableConcept")
    if single is not None:
        coding, place = single
        infer = place.kind == "code" and checker.value_set is not None
        verdicts = [await checker.check(coding, place, infer=infer)]
        return _answer(verdicts, verdicts[0], verdicts[0].findings)
    if concept is None:
        raise InvalidRequest("Send a code, a coding or a codeableConcept to check.", location="http.code")
    verdicts = [await checker.check(dict(c), Place("concept", i)) for i, c in enumerate(codings_of(concept))]
    findings = [f for v in verdicts for f in v.findings]
    chosen = next((v for v in verdicts if v.is_member and v.is_right), None)
    chosen = chosen or next((v for v in verdicts if v.is_member), None)
    if checker.value_set is not None and chosen is None:
        name = canonical(checker.value_set.url, checker.value_set.version) or "(unidentified)"
        text = f"No valid coding was found for the value set '{name}'"
        findings = [Finding("error", "code-invalid", "not-in-vs", text, name="TX_GENERAL_CC_ERROR_MESSAGE"), *findings]
    return _answer(verdicts, chosen, findings, concept)


def not_resolved(said: Parameters, error: TerminologyError) -> Json:
    """Return the answer where the value set imports one that nobody knows: the code can be called neither."""
    text = missing_value_set(error.url, error.version) if isinstance(error, Unknown) else str(error)
    findings = [Finding("error", "not-found", "not-found", text, name="Unable_to_resolve_value_Set_")]
    single = one_coding(said)
    verdict = None
    if single is not None:
        verdict = Verdict(str(single[0].get("system", "")), str(single[0].get("code", "")))
    return _answer([], verdict, findings, said.one("codeableConcept"))


def _answer(
    verdicts: Sequence[Verdict], chosen: Verdict | None, findings: Sequence[Finding], concept: Json | None = None
) -> Json:
    rows: list[tuple[str, str, Any]] = [("result", "valueBoolean", not any(f.severity == "error" for f in findings))]
    if chosen is not None:
        rows += [
            ("code", "valueCode", chosen.code),
            ("system", "valueUri", chosen.system),
            ("version", "valueString", chosen.version),
            ("display", "valueString", chosen.display),
            ("status", "valueCode", chosen.status),
            ("normalized-code", "valueCode", chosen.normal_code),
        ]
        if chosen.is_inactive:
            rows.append(("inactive", "valueBoolean", True))
    if concept is not None:
        rows.append(("codeableConcept", "valueCodeableConcept", concept))
    if text := message(findings):
        rows.append(("message", "valueString", text))
    rows += [("x-unknown-system", "valueCanonical", v.unknown_system) for v in verdicts]
    rows += [("x-caused-by-unknown-system", "valueCanonical", v.causing_system) for v in verdicts]
    parameters: list[Json] = [{"name": name, kind: value} for name, kind, value in rows if value != ""]
    if findings:
        ranked = sorted(findings, key=lambda f: _SEVERITIES.index(f.severity))
        outcome = {"resourceType": "OperationOutcome", "issue": [f.issue() for f in ranked]}
        parameters.append({"name": "issues", "resource": outcome})
    return {"resourceType": "Parameters", "parameter": parameters}


_SEVERITIES = ("error", "warning", "information")
