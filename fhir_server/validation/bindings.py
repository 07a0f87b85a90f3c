"""Required bindings: the code must be in the value set. https://hl7.org/fhir/R4/terminologies.html#required

Only value sets that the definitions enumerate are checked here; mime types and currencies are too many to list and
have a form instead. Other bindings need a terminology service.
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.fhirpath import ucum
from fhir_server.validation.findings import Checker, Findings, Held, Json, JsonValue, did_you_mean, refuse, wrong_kind
from fhir_server.validation.primitives import pattern

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+"
_PARAMETERS = rf'[ ]?(?:;[ ]?{_TOKEN}=(?:"[^"]*"[ ]?|[^" ;][^";]*))*(?<! )'  # values with spaces occur unquoted
_FORMATS = {
    "http://hl7.org/fhir/ValueSet/mimetypes": (
        rf"{_TOKEN}/{_TOKEN}{_PARAMETERS}|xml|json|ttl|html",
        "A mime type is written type/subtype; parameters follow a semicolon.",
    ),
    "http://hl7.org/fhir/ValueSet/currencies": ("[A-Z]{3}", "A currency is three capital letters (ISO 4217)."),
}
_LONGEST_LIST = 12

CodeList = dict[str, frozenset[str]]


def code_of_system(plain: Checker) -> Checker:
    """Return the checker of the code of a Coding or Quantity: where the system is UCUM it is a unit.

    `plain` checks any code. A unit is an expression and no list could have them all; each is read once and remembered.
    """

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = plain(item, parent, depth, held)
        if found is not None or parent.get("system") != ucum.SYSTEM:
            return found
        complaint = ucum.complaint(item)
        return None if complaint is None else refuse("code-invalid", complaint)

    return check


def code_in(value_set: str, code_lists: dict[str, CodeList]) -> Checker | None:
    """Return the checker of a code that is bound to the value set, or None where it cannot be enumerated."""
    if value_set in _FORMATS:
        return pattern(*_FORMATS[value_set])
    if value_set not in code_lists:
        return None
    codes = frozenset().union(*code_lists[value_set].values())

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not str:
            return wrong_kind("a string", item)
        return None if item in codes else refuse("code-invalid", _not_in(item, value_set, codes))

    return check


def coding_in(value_set: str, code_lists: dict[str, CodeList], whole: Checker) -> Checker:
    """Return the checker of a Coding or Quantity that is bound to the value set; `whole` checks its structure."""
    pairs = _pairs(code_lists.get(value_set))

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = whole(item, parent, depth, held)
        if found is not None or not pairs or _pair(item) in pairs or _has_only_extensions(item):
            return found
        return refuse("code-invalid", f"The system and code are not in the value set {value_set}.")

    return check


def concept_in(value_set: str, code_lists: dict[str, CodeList], whole: Checker) -> Checker:
    """Return the checker of a CodeableConcept: at least one of its codings must be in the value set."""
    pairs = _pairs(code_lists.get(value_set))

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = whole(item, parent, depth, held)
        if found is not None or not pairs or _has_only_extensions(item):
            return found
        if any(_pair(coding) in pairs for coding in item.get("coding", ())):
            return None
        return refuse("code-invalid", f"None of the codings is in the value set {value_set}; text alone is not enough.")

    return check


def _pairs(lists: CodeList | None) -> frozenset[tuple[str, str]]:
    return frozenset((system, code) for system, codes in (lists or {}).items() for code in codes)


def _pair(coding: Json) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")


def _has_only_extensions(item: Json) -> bool:
    """Whether the value is left out with a reason, which an extension gives."""
    return item.keys() <= {"id", "extension"}


def _not_in(code: str, value_set: str, codes: frozenset[str]) -> str:
    text = f"The code is not in the value set {value_set}."
    if len(codes) <= _LONGEST_LIST:
        return f"{text} Allowed: {', '.join(sorted(codes))}."
    return text + did_you_mean(code, codes)
