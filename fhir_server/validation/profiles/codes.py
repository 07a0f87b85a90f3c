"""The codes of an element, and what a value set says of them. https://hl7.org/fhir/R4/terminologies.html"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import Answers

Json = dict[str, Any]

_WITH_SYSTEM = ("Coding", "CodeableConcept", "Quantity")
_NO_MEMBER = Membership(False)


def memberships(answers: Answers[Any], value_set: str, rows: Sequence[Coding], kind: str) -> list[Membership]:
    """Return what a value set says of each code of a value; a Coding without a system is in none."""
    needs_system = kind in _WITH_SYSTEM
    return [answers.member(value_set, row) if row.system or not needs_system else _NO_MEMBER for row in rows]


def codings(value: Any, kind: str) -> list[Coding]:
    """Return the codes of a code, Coding, CodeableConcept or Quantity; what has no code has none."""
    if type(value) is str:
        return [Coding("", value)]
    if type(value) is not dict:
        return []
    if kind == "CodeableConcept":
        rows = value.get("coding")
        return [one for row in (rows if type(rows) is list else ()) for one in codings(row, "Coding")]
    code = value.get("code")
    if type(code) is not str:
        return []
    return [Coding(_text(value, "system"), code, _text(value, "version"), _text(value, "display"))]


def _text(value: Json, name: str) -> str:
    text = value.get(name)
    return text if type(text) is str else ""
