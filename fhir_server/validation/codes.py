"""What terminology says of the codes in a resource, beyond the required bindings that the base checks know.

https://hl7.org/fhir/R4/terminologies.html. Every coding is looked up in its code system, and held against the value
set its element is bound to: one that should be used (extensible) gives a warning, one that is a suggestion
(preferred) a remark. What nobody can tell (a code system that is not here) is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.api.terminology import Coding
from fhir_server.fhir.definitions import Definitions, Element, TypeRef
from fhir_server.validation.answers import Answers
from fhir_server.validation.findings import Finding, Findings, Json, below, is_full
from fhir_server.validation.prose import SAID_OF

# Looks at one value of an element; codes are asked about there.
Look = Callable[[Any, Answers[Any]], Findings | None]
# FHIRPath step, whether JSON has an array, what to do; None beside a code that has to be there (`_status`).
_Row = tuple[str, bool, Look | None]

UCUM = "http://unitsofmeasure.org"  # the base checks know its units
# What starts like these names no code system. https://hl7.org/fhir/R4/terminologies-systems.html
_MISNAMED = {
    "http://snomed.info/sct/": "The system of SNOMED CT is http://snomed.info/sct; its edition is the version.",
    "http://build.fhir.org/": "A draft of the specification is no code system; give the url that the code system has.",
}
_MISNAMED_STARTS = tuple(_MISNAMED)
_IS_PAGE = "A page of the specification is no code system; give the url that the code system has."

_QUANTITIES = frozenset({"Age", "Count", "Distance", "Duration", "MoneyQuantity", "Quantity", "SimpleQuantity"})
_SEVERITY = {"extensible": "warning", "preferred": "information"}
_SAID = {"extensible": "should be from", "preferred": "are best taken from"}


class Codes:
    """Looks through resources for codes; what a type may hold is worked out when it is first met."""

    def __init__(self, definitions: Definitions) -> None:
        self._types = definitions.types
        self._looks: dict[str, Look] = {}

    def look(self, resource: Json, answers: Answers[Any]) -> Findings | None:
        """Return what is to be said about the codes of a resource, which may be malformed otherwise."""
        name = resource.get("resourceType")
        return self._object(name)(resource, answers) if type(name) is str and name in self._types else None

    def _object(self, type_name: str) -> Look:
        """Return the look at objects of a type: types contain themselves, so their members are filled in later."""
        known = self._looks.get(type_name)
        if known is not None:
            return known
        rows: dict[str, _Row] = {}

        def look(value: Any, answers: Answers[Any]) -> Findings | None:
            if type(value) is not dict:
                return None
            if not rows:
                rows.update(self._plan(type_name))
            found: Findings | None = None
            for name, item in value.items():
                row = rows.get(name)
                if row is not None:
                    found = _member(row, item, value, answers, found)
                    if found is not None and is_full(found):
                        break
            return found

        self._looks[type_name] = look
        return look

    def _plan(self, type_name: str) -> dict[str, _Row]:
        """Return what to do with the members of a type that can lead to codes, by their JSON names."""
        rows: dict[str, _Row] = {}
        for element in self._types[type_name].elements:
            for name, ref in element.json_names().items():
                look = self._look(element, ref)
                if look is not None:
                    rows[name] = (f".{element.name}", element.repeats, look)
            if element.binding[:1] == ("required",):
                rows["_" + element.name] = (element.name, element.repeats, None)
        return rows

    def _look(self, element: Element, ref: TypeRef) -> Look | None:
        strength, value_set = element.binding if len(element.binding) == 2 else ("", "")
        if ref.code == "CodeableConcept":
            return _concept(strength, value_set)
        if ref.code == "Coding":
            return _coding(strength, value_set)
        if ref.code in _QUANTITIES:
            return _quantity
        if ref.code == "Resource":
            return self._inner
        known = self._types.get(ref.code)
        if known is None or known.kind == "primitive":
            return None
        members, said = self._object(ref.code), SAID_OF.get(ref.code)
        if said is None:
            return members

        def look(value: Any, answers: Answers[Any]) -> Findings | None:
            if type(value) is not dict:
                return None
            found, problems = members(value, answers), said(value)
            return [*(found or ()), *problems] if problems else found

        return look

    def _inner(self, value: Any, answers: Answers[Any]) -> Findings | None:
        return self.look(value, answers) if type(value) is dict else None


def _member(row: _Row, item: Any, holder: Json, answers: Answers[Any], found: Findings | None) -> Findings | None:
    step, repeats, look = row
    if look is None:
        return _left_out(step, item, holder.get(step), found)
    if not repeats:
        problems = look(item, answers)
        return below(step, problems, found) if problems else found
    for place, one in enumerate(item if type(item) is list else ()):
        problems = look(one, answers)
        found = below(f"{step}[{place}]", problems, found) if problems else found
    return found


def _left_out(name: str, beside: Any, value: Any, found: Findings | None) -> Findings | None:
    """A code that has to be from a value set is not left out with a reason, as other values may be."""
    rows, values = (beside, value) if type(beside) is list else ([beside], [value])
    for place, row in enumerate(rows):
        is_there = type(values) is list and place < len(values) and values[place] is not None
        if type(row) is dict and not is_there:
            text = f"A code from a value set is required for {name}; an extension does not stand for it."
            where = f".{name}[{place}]" if rows is beside else f".{name}"
            found = [*(found or ()), Finding("code-invalid", text, where)]
    return found


def _coding(strength: str, value_set: str) -> Look:
    def look(value: Any, answers: Answers[Any]) -> Findings | None:
        coding = read(value)
        if coding is None:
            return None
        found = _known(coding, answers)
        if strength in _SEVERITY and not found and answers.member(value_set, coding).holds is False:
            return _outside(strength, value_set, [coding])
        return found

    return look


def _concept(strength: str, value_set: str) -> Look:
    def look(value: Any, answers: Answers[Any]) -> Findings | None:
        rows = value.get("coding") if type(value) is dict else None
        if type(rows) is not list:
            return None
        found: Findings | None = None
        codings = []
        for place, row in enumerate(rows):
            coding = read(row)
            if coding is not None:
                codings.append(coding)
                problems = _known(coding, answers)
                found = below(f".coding[{place}]", problems, found) if problems else found
        if strength in _SEVERITY and codings and found is None:
            answered = [answers.member(value_set, coding).holds for coding in codings]
            if all(holds is False for holds in answered):
                return _outside(strength, value_set, codings)
        return found

    return look


def _quantity(value: Any, answers: Answers[Any]) -> Findings | None:
    coding = read(value)  # its unit has the same members; the text is `unit`, and nobody says what that has to be
    return None if coding is None else _known(coding, answers)


def read(value: Any) -> Coding | None:
    """Return a coding that has a system and a code; anything else says nothing that could be looked up."""
    if type(value) is not dict:
        return None
    system, code = value.get("system"), value.get("code")
    if type(system) is not str or type(code) is not str:
        return None
    version, display = value.get("version"), value.get("display")
    return Coding(system, code, version if type(version) is str else "", display if type(display) is str else "")


def _known(coding: Coding, answers: Answers[Any]) -> Findings | None:
    system = coding.system
    if system == UCUM:
        return None
    if system.startswith(_MISNAMED_STARTS):
        text = next(text for start, text in _MISNAMED.items() if system.startswith(start))
        return [Finding("code-invalid", text, ".system")]
    if system.endswith(".html") and "//hl7.org/fhir/" in system:
        return [Finding("code-invalid", _IS_PAGE, ".system")]
    said = answers.concept(coding)
    if said.holds is False:
        return [Finding("code-invalid", said.text or f"{coding.system} has no code {coding.code[:64]!r}.", ".code")]
    if said.holds and said.display:
        text = f"The display of {coding.system}|{coding.code} is {said.display!r}."
        return [Finding("code-invalid", text, ".display", "warning")]
    return None


def _outside(strength: str, value_set: str, codings: list[Coding]) -> Findings:
    named = ", ".join(f"{c.system}|{c.code}"[:128] for c in codings[:3])
    text = f"The codes here {_SAID[strength]} the value set {value_set}; {named} is not in it."
    return [Finding("code-invalid", text, severity=_SEVERITY[strength])]
