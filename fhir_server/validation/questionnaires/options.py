"""The answers a question allows: those of `answerOption`, and the codes of `answerValueSet`.

https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.answerOption. An open choice allows any text
besides. A value set contained in the Questionnaire is read here where it lists its codes.
"""

from __future__ import annotations

from typing import Any

from fhir_server.api.terminology import Coding, Membership
from fhir_server.fhir.fhirpath.references import contained_resource
from fhir_server.validation.answers import UNTOLD, Answers
from fhir_server.validation.findings import Json, shown
from fhir_server.validation.questionnaires.definition import Form, Item
from fhir_server.validation.questionnaires.values import Value, is_equal, rows, value_of

_LISTED = 12
_HASHED = ("String", "Integer", "Date", "Time")

# The code and text of what is wrong with a value, and how bad it is.
Problem = tuple[str, str, str]


class Options:
    """The values that `answerOption` lists; codings and plain values are found without going through all."""

    def __init__(self, item: Item) -> None:
        given = [(value_of(row), row) for row in rows(item.row, "answerOption")]
        self.kinds = {value[0] for value, _ in given if value is not None}
        self._values = [value for value, _ in given if value is not None]
        self._keys = {key for value in self._values if (key := _key(value)) is not None}
        self._exclusive = {_key(value) for value, row in given if value is not None and _is_exclusive(row)} - {None}

    def __bool__(self) -> bool:
        return bool(self._values)

    def holds(self, value: Value) -> bool:
        """Whether a value is one of the options."""
        if _key(value) is not None:
            return _key(value) in self._keys
        return any(is_equal(value, one) is not False for one in self._values)

    def excludes(self, value: Value) -> bool:
        """Whether a value is an option that is chosen alone or not at all."""
        return _key(value) in self._exclusive

    def listed(self) -> str:
        """Return the options in words."""
        names = [_named(value) for value in self._values[:_LISTED]]
        return ", ".join(names) + (" ..." if len(self._values) > _LISTED else "")

    def elsewhere(self, value: Value) -> str:
        """Return a sentence if the code is right and its system is not."""
        if value[0] != "Coding" or type(value[1]) is not dict or not value[1].get("code"):
            return ""
        for one in self._values:
            if one[0] == "Coding" and type(one[1]) is dict and one[1].get("code") == value[1]["code"]:
                system = one[1].get("system")
                return f" There is an option with this code in {system}." if system else " The option has no system."
        return ""


def problem_of(item: Item, options: Options, form: Form, value: Value, answers: Answers[Any]) -> Problem | None:
    """Return what is wrong with a value as a choice of an item, or None."""
    is_open = item.kind == "open-choice"
    if options:
        if options.holds(value) or (is_open and value[0] == "String"):
            return None
        text = f"The answer is none of the options: {options.listed()}.{options.elsewhere(value)}"
        return "code-invalid", text, "error"
    value_set = item.row.get("answerValueSet")
    coding = _coding(value)
    if type(value_set) is not str or coding is None:
        return None
    if not coding.code:
        is_said = is_open or "extension" in value[1]
        return (
            None if is_said else ("code-invalid", "The answer has no code, and is to be one of a value set.", "error")
        )
    told = _contained(form.container, value_set, coding, answers)
    if told.holds is False:
        return (
            "code-invalid",
            f"The answer is not in the value set {shown_url(value_set)}. {told.text}".strip(),
            "error",
        )
    if told.holds is None and told.text:
        return "not-found", f"Whether the answer is allowed cannot be told. {told.text}", "warning"
    if told.display:
        text = f"The right name of the code is {shown(told.display)}."
        return "business-rule", text, "warning"
    return None


def shown_url(url: str) -> str:
    """Return a URL that a stranger chose in a form that is safe to print."""
    return url if url.isprintable() and len(url) <= 256 else shown(url)


def _contained(container: Json, value_set: str, coding: Coding, answers: Answers[Any]) -> Membership:
    if not value_set.startswith("#"):
        return answers.member(value_set, coding)
    resource = contained_resource(container, value_set)
    if resource is None or resource.get("resourceType") != "ValueSet":
        return Membership(None, f"There is no contained value set {shown(value_set)}.")
    expansion, compose = resource.get("expansion"), resource.get("compose")
    if type(expansion) is dict:
        return Membership(_is_in_expansion(expansion, coding, 0))
    return _composed(compose, coding, answers) if type(compose) is dict else UNTOLD


def _composed(compose: Json, coding: Coding, answers: Answers[Any]) -> Membership:
    if compose.get("exclude"):
        return Membership(None, "The contained value set excludes codes, which is not looked at.")
    told = [_included(row, coding, answers) for row in rows(compose, "include")]
    for membership in told:
        if membership.holds:
            return membership
    return next((one for one in told if one.holds is None), Membership(False))


def _included(include: Json, coding: Coding, answers: Answers[Any]) -> Membership:
    if "filter" in include:
        return Membership(None, "The contained value set has filters, which are not looked at.")
    if "valueSet" in include:
        others = include["valueSet"] if type(include["valueSet"]) is list else []
        told = [answers.member(url, coding) for url in others if type(url) is str]
        for one in told:
            if not one.holds:
                return one
        if "system" not in include:
            return Membership(bool(told))
    if include.get("system") != coding.system:
        return Membership(False)
    if "concept" not in include:
        return answers.concept(coding)
    return Membership(any(row.get("code") == coding.code for row in rows(include, "concept")))


def _is_in_expansion(holder: Json, coding: Coding, depth: int) -> bool:
    for row in rows(holder, "contains"):
        if row.get("code") == coding.code and row.get("system") == coding.system and row.get("abstract") is not True:
            return True
        if depth < _LISTED and _is_in_expansion(row, coding, depth + 1):
            return True
    return False


def _coding(value: Value) -> Coding | None:
    row = value[1]
    if value[0] != "Coding" or type(row) is not dict:
        return None
    parts = [row.get(name) if type(row.get(name)) is str else "" for name in ("system", "code", "version", "display")]
    return Coding(*[str(part) for part in parts])


def _key(value: Value) -> Any:
    kind, one = value
    if kind == "Coding" and type(one) is dict:
        name = one.get("code") or one.get("display")
        system = one.get("system")
        return (kind, system if type(system) is str else None, name) if type(name) is str else None
    return (kind, one) if kind in _HASHED and type(one) in (str, int) else None


def _is_exclusive(row: Json) -> bool:
    url = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive"
    return any(one.get("url") == url and one.get("valueBoolean") is True for one in rows(row, "extension"))


def _named(value: Value) -> str:
    row = value[1]
    if type(row) is dict:
        return shown(str(row.get("code") or row.get("reference") or row.get("display")))
    return shown(str(row))
