"""Why a coding does not hold, in words for whoever wrote it: what was expected, and what may have been meant."""

from __future__ import annotations

import difflib
from itertools import islice

from terminology.failures import TerminologyError, canonical
from terminology.valueset import ValueSet
from terminology.verdicts import Verdict

SHORT = 12  # codes of a value set that are told in full
SEARCHED = 500  # codes that are looked through for a similar one
LONGEST = 64  # characters of a code that are repeated


def unknown(verdict: Verdict) -> str:
    """Return why nobody can tell whether the coding holds."""
    return next(
        (f.text for f in verdict.findings if f.kind in ("not-found", "invalid-code")), "The coding names no system."
    )


def advice(verdict: Verdict) -> str:
    """Return what to mind about a coding that holds: it is inactive, deprecated, or written in other letters."""
    return "; ".join(f.text for f in verdict.findings if f.kind in ("code-comment", "code-rule") and f.is_said)


def refusal(verdict: Verdict, value_set: ValueSet | None) -> str:
    """Return what is wrong with a coding, and the way out."""
    own = [f.text for f in verdict.findings if f.severity == "error" and f.kind == "invalid-data"]
    if own:
        return own[0]
    if value_set is not None:
        return _not_in(verdict, value_set)
    found = next((f.text for f in verdict.findings if f.severity == "error"), "")
    return f"{found}." if found else ""


def _not_in(verdict: Verdict, value_set: ValueSet) -> str:
    name = canonical(value_set.url, value_set.version)
    said = f"{verdict.code[:LONGEST]!r}"
    others = _other_systems(verdict, value_set)
    if verdict.system and others:
        return f"The value set {name} has the code {said} of {' and '.join(others)}, not of {verdict.system}."
    of_system = f" of {verdict.system}" if verdict.system else ""
    own = next((f.text for f in verdict.findings if f.kind in ("invalid-code", "code-rule", "vs-invalid")), "")
    text = f"The code {said}{of_system} is not in the value set {name}."
    return " ".join(part for part in (text, f"{own}." if own else "", _meant(verdict, value_set)) if part)


def _other_systems(verdict: Verdict, value_set: ValueSet) -> list[str]:
    try:
        return sorted({e.system for e in value_set.matches("", verdict.code)} - {verdict.system})
    except TerminologyError:
        return []


def _meant(verdict: Verdict, value_set: ValueSet) -> str:
    """Return the codes that were to be chosen from where they are few, else the most similar of them."""
    if value_set.effort > SEARCHED:
        return ""
    try:
        entries = list(islice(value_set.entries(), SEARCHED))
    except TerminologyError:
        return ""
    codes = list(dict.fromkeys(e.code for e in entries if not e.is_abstract))
    if len(codes) <= SHORT:
        return f"Allowed: {', '.join(codes)}." if codes else "It holds no code."
    folded = {code.casefold(): code for code in codes}
    near = difflib.get_close_matches(verdict.code[:LONGEST].casefold(), folded, n=1, cutoff=0.7)
    return f"Did you mean {folded[near[0]]!r}?" if near else ""
