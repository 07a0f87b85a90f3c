"""What a checker finds, and how findings learn their place; nothing here runs while a resource is in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from fhir_server.fhir.outcomes import Issue

Json = dict[str, Any]
JsonValue = Any  # whatever decoding gives: dict, list, str, int, Decimal, bool or None

MAX_FINDINGS = 100  # no more are reported
_FAR_TOO_MANY = 10 * MAX_FINDINGS
_SEVERITIES = ("fatal", "error", "warning", "information")  # where there are too many, the gravest are reported
_TRUNCATED = f"The first {MAX_FINDINGS} issues are listed; there are more."

ONLY_AN_ID = "The invariant ele-1 is broken: an element has a value or children, not only an id."

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_JSON_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


class Finding:
    """One thing wrong. `path` starts empty; every parent on the way up puts its own step in front."""

    __slots__ = ("code", "path", "severity", "text")

    def __init__(self, code: str, text: str, path: str = "", severity: str = "error") -> None:
        self.code = code
        self.text = text
        self.path = path
        self.severity = severity


Findings = list[Finding]

# What `#id` may lead to: {id: resourceType} of the contained resources; the resource that holds them is "".
Held = dict[str, str]

# A checker takes the value, the object the value is a member of, how deep that is, and what `#id` may lead to.
# None means that all is well.
Checker = Callable[[JsonValue, Json, int, Held], Findings | None]

# An invariant: `holds` is quick and may answer None, which is for `explain` to decide; `explain` says what is wrong.
Shortcut = Callable[[Json], bool | None]
Rule = tuple[Shortcut, Callable[[JsonValue], Findings | None]]


def refuse(code: str, text: str) -> Findings:
    """Return the one finding that a checker has about its own value."""
    return [Finding(code, text)]


def wrong_kind(expected: str, value: JsonValue) -> Findings:
    """Return the finding for a JSON value of another kind than the definition says."""
    if value is None:
        return refuse("structure", f"Expected {expected}; null stands for nothing in FHIR: leave the member out.")
    return refuse("structure", f"Expected {expected}, found {_JSON_KINDS.get(type(value), 'a number')}.")


def below(step: str, problems: Findings, found: Findings | None) -> Findings:
    """Put the step in front of each problem's path and add them to what was found so far."""
    for problem in problems:
        problem.path = step + problem.path
    if found is None:
        return problems
    found += problems
    return found


def issues_of(found: Findings, resource: JsonValue) -> list[Issue]:
    """Return findings about a resource as issues; where there are too many the gravest, and one that says so."""
    name = resource.get("resourceType") if type(resource) is dict else None
    root = name if type(name) is str and name.isalpha() and name.isascii() and len(name) <= 64 else ""
    issues = [Issue(row.code, row.text, (root + row.path).removeprefix("."), row.severity) for row in found]
    if len(issues) <= MAX_FINDINGS:
        return issues
    issues.sort(key=lambda issue: _SEVERITIES.index(issue.severity))
    return [*issues[:MAX_FINDINGS], Issue("informational", _TRUNCATED, severity="information")]


def is_full(found: Findings) -> bool:
    """Whether looking on is pointless: more errors will not be reported, or there is far too much of the rest."""
    if len(found) <= MAX_FINDINGS:
        return False
    return len(found) > _FAR_TOO_MANY or sum(row.severity == "error" for row in found) > MAX_FINDINGS


def step(name: str) -> str:
    """Return a member name as a FHIRPath step; strange names are delimited, endless ones cut."""
    if _IDENTIFIER(name) and len(name) <= 64:
        return "." + name
    return ".`" + shown(name).replace("\\", "\\\\").replace("`", "\\`") + "`"


def shown(name: str) -> str:
    """Return a name that a stranger chose in a form that is safe to print."""
    short = name if len(name) <= 64 else name[:61] + "..."
    return short if short.isprintable() else ascii(short)[1:-1]


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return a sentence with the nearest candidate, or nothing."""
    near = get_close_matches(name[:64], candidates, n=1, cutoff=0.7)
    return f" Did you mean {near[0]}?" if near else ""
