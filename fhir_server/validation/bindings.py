"""Required bindings: the code must be in the value set. https://hl7.org/fhir/R4/terminologies.html#required

Only value sets that the definitions enumerate are checked here. What is too much to list has a form: mime types,
currencies, languages (https://www.rfc-editor.org/rfc/bcp/bcp47.txt, without its registry) and units
(https://ucum.org/ucum). Other bindings need a terminology service.
"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.fhir.fhirpath import ucum
from fhir_server.validation.findings import Checker, Findings, Held, Json, JsonValue, did_you_mean, refuse, wrong_kind
from fhir_server.validation.primitives import is_code

LANGUAGES = "http://hl7.org/fhir/ValueSet/languages"
UNITS = "http://hl7.org/fhir/ValueSet/ucum-units"
_BCP_47 = "urn:ietf:bcp:47"

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+"
_PARAMETERS = rf'[ ]?(?:;[ ]?{_TOKEN}=(?:"[^"]*"[ ]?|[^" ;][^";]*))*(?<! )'  # values with spaces occur unquoted
# Language, extended language, script, region, variants, extensions, private use; no language has four letters or more.
_LANGUAGE = (
    r"(?ai:[a-z]{2,3}(?:-[a-z]{3}){0,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)"
    r"|en-gb-oed|sgn-be-fr|sgn-be-nl|sgn-ch-de)"
)
_FORMATS = {
    "http://hl7.org/fhir/ValueSet/mimetypes": (
        rf"{_TOKEN}/{_TOKEN}{_PARAMETERS}|xml|json|ttl|html",
        "A mime type is written type/subtype; parameters follow a semicolon.",
    ),
    "http://hl7.org/fhir/ValueSet/currencies": ("[A-Z]{3}", "A currency is three capital letters (ISO 4217)."),
    LANGUAGES: (_LANGUAGE, "A language is a tag of BCP 47, such as en or en-US, with hyphens between its parts."),
}
# {type: (its base unit, the finding)}: https://hl7.org/fhir/R4/datatypes.html#quantity, the maximum value sets.
_MEASURES = {
    "Age": ("s", "An Age is measured in units of time, such as a, mo or d."),
    "Duration": ("s", "A Duration is measured in units of time, such as d, h or min."),
    "Distance": ("m", "A Distance is measured in units of length, such as m or km."),
}
_LONGEST_LIST = 12
_NO_UNIT = f"None of the codings is a unit of UCUM (system {ucum.SYSTEM}); text alone is not enough."

CodeList = dict[str, frozenset[str]]

_is_language = re.compile(_LANGUAGE).fullmatch


def code_of_system(type_name: str, plain: Checker) -> Checker:
    """Return the checker of the code of a Coding or of a kind of Quantity, as its system wants it: a unit, a language.

    `plain` checks any code. A unit is an expression and no list could have them all; each is read once and remembered.
    """
    base, otherwise = _MEASURES.get(type_name, ("", ""))
    dimensions = ((base, 1),)

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not str or not is_code(item):
            return plain(item, parent, depth, held)
        system = parent.get("system")
        if system == ucum.SYSTEM:
            complaint = ucum.complaint(item)
            if complaint is not None:
                return refuse("code-invalid", complaint)
            return refuse("code-invalid", otherwise) if base and ucum.read(item).dimensions != dimensions else None
        if system == _BCP_47 and not _is_language(item):
            return refuse("code-invalid", _FORMATS[LANGUAGES][1])
        return None

    return check


def is_checked(strength: str, value_set: str, type_name: str) -> bool:
    """Whether a binding is checked here: one that is required, and the language that the maximum value set limits."""
    return strength == "required" or (value_set == LANGUAGES and type_name == "code")


def _form(regex: str, text: str) -> Checker:
    matches = re.compile(regex).fullmatch

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not str:
            return wrong_kind("a string", item)
        return None if matches(item) else refuse("code-invalid", text)

    return check


def code_in(value_set: str, code_lists: dict[str, CodeList]) -> Checker | None:
    """Return the checker of a code that is bound to the value set, or None where it cannot be enumerated."""
    if value_set in _FORMATS:
        return _form(*_FORMATS[value_set])
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
    is_unit = value_set == UNITS

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = whole(item, parent, depth, held)
        if found is not None or not (pairs or is_unit) or _has_only_extensions(item):
            return found
        if is_unit:
            has_unit = any(c.get("system") == ucum.SYSTEM and "code" in c for c in item.get("coding", ()))
            return None if has_unit else refuse("code-invalid", _NO_UNIT)
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
