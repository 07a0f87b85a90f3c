"""A Questionnaire that can be answered, beyond what its invariants say. https://hl7.org/fhir/R4/questionnaire.html"""

from __future__ import annotations

from typing import Any

from fhir_server.validation.findings import Findings, Json, did_you_mean, shown
from fhir_server.validation.questionnaires.circles import circles_of
from fhir_server.validation.questionnaires.definition import (
    DISPLAY,
    GROUP,
    MAX_OCCURS,
    MIN_OCCURS,
    Form,
    Item,
    conditions,
)
from fhir_server.validation.questionnaires.options import Options
from fhir_server.validation.questionnaires.response import TYPES
from fhir_server.validation.questionnaires.values import compare, extensions, rows, value_of
from fhir_server.validation.report import Enough, Report, TooCostly

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_ORDERS = (">", "<", ">=", "<=")
_UNORDERED = ("boolean", "choice", "attachment", "reference", "url")
_ALIKE = ({"Integer", "Decimal"}, {"Date", "DateTime"})
_FEW = 200


def check_questionnaire(questionnaire: Json) -> Findings | None:
    """Return what keeps a Questionnaire from being answered as it is meant, or None."""
    report = Report()
    form = Form(questionnaire)
    try:
        for item in form.items[1:]:
            _item(item, form, report)
        for item in circles_of(form):
            text = f"Whether the item {_name(item)} is enabled depends on itself, through the items it asks about."
            report.add(item.path + ".enableWhen", "business-rule", text, "warning")
    except TooCostly:
        report.give_up()
    except Enough:
        pass
    return report.all()


def _item(item: Item, form: Form, report: Report) -> None:
    report.spend(1)
    first = form.by_link.get(item.link) if item.link is not None else None
    if first is not None and first is not item:
        text = f"The linkId {_name(item)} is already that of Questionnaire{first.path}; give each item its own."
        report.add(item.path + ".linkId", "invalid", text)
    given = item.row.get("enableWhen")
    for index, row in enumerate(given if type(given) is list else ()):
        if type(row) is dict:
            _condition(row, item, f"{item.path}.enableWhen[{index}]", form, report)
    if len(conditions(item)) == 2 and "enableBehavior" not in item.row:  # que-12 only asks from three on
        text = "There are two conditions: say in enableBehavior whether all or any of them have to hold."
        report.add(item.path + ".enableBehavior", "business-rule", text)
    if item.kind in TYPES:
        _values(item, report)
    _ranges(item, report)


def _condition(row: Json, item: Item, path: str, form: Form, report: Report) -> None:
    link = row.get("question")
    question = form.by_link.get(link) if type(link) is str else None
    if question is None:
        if type(link) is str:
            near = did_you_mean(link, form.by_link) if len(form.by_link) <= _FEW else ""
            text = f"The Questionnaire has no item with the linkId {shown(link)}.{near}"
            report.add(path + ".question", "not-found", text)
        return
    if question is item:
        report.add(path + ".question", "business-rule", f"The item {_name(item)} waits for an answer to itself.")
        return
    if question.kind in (GROUP, DISPLAY):
        text = f"The item {_name(question)} is a {question.kind}, which has no answers to ask about."
        report.add(path + ".question", "business-rule", text)
        return
    expected, operator = value_of(row, "answer"), row.get("operator")
    if expected is None or operator == "exists" or question.kind not in TYPES:
        return
    if operator in _ORDERS and question.kind in _UNORDERED:
        text = f"Answers of type {question.kind} have no order: use =, != or exists."
        report.add(path + ".operator", "business-rule", text)
    _agrees(expected[0], question, path + ".answer", report)


def _agrees(kind: str, item: Item, path: str, report: Report) -> None:
    """Look whether a value may be compared with, or stand for, an answer to the item."""
    allowed = set(TYPES[item.kind])
    if kind not in allowed and item.kind in ("choice", "open-choice"):
        allowed |= Options(item).kinds
    if kind in allowed:
        return
    names = " or ".join(sorted(allowed))
    text = f"Answers to the item {_name(item)} of type {item.kind} are of type {names}, not {shown(kind)}."
    is_alike = any(kind in alike and alike & allowed for alike in _ALIKE)
    report.add(path, "structure", text, "warning" if is_alike else "error")


def _values(item: Item, report: Report) -> None:
    """Look at the types of options and initial values; the options of a choice say themselves what they are."""
    for name in ("initial", "answerOption"):
        given = item.row.get(name)
        for index, row in enumerate(given if type(given) is list else ()):
            value = value_of(row) if type(row) is dict else None
            if value is None or (name == "answerOption" and item.kind in ("choice", "open-choice")):
                continue
            report.spend(1)
            _agrees(value[0], item, f"{item.path}.{name}[{index}].value", report)


def _ranges(item: Item, report: Report) -> None:
    """Look for limits that nothing can keep."""
    row = item.row
    low, high = _limit(row, "minValue"), _limit(row, "maxValue")
    if low is not None and high is not None and compare(low, high) == 1:
        _unkept(item, "minValue is more than maxValue", report)
    least, most = extensions(row, _CORE + "minLength"), row.get("maxLength")
    if least and type(least[0]) is int and type(most) is int and least[0] > most:
        _unkept(item, "minLength is more than maxLength", report)
    fewest, mostly = extensions(row, MIN_OCCURS), extensions(row, MAX_OCCURS)
    if fewest and mostly and type(fewest[0]) is int and type(mostly[0]) is int and fewest[0] > mostly[0]:
        _unkept(item, "minOccurs is more than maxOccurs", report)
    for name, counts in (("minOccurs", fewest), ("maxOccurs", mostly)):
        if row.get("repeats") is not True and any(type(count) is int and count > 1 for count in counts):
            text = f"The item {_name(item)} has {name} and does not repeat; set repeats to true."
            report.add(item.path, "business-rule", text, "warning")


def _unkept(item: Item, what: str, report: Report) -> None:
    text = f"No answer can keep the limits of the item {_name(item)}: {what}."
    report.add(item.path, "business-rule", text, "warning")


def _limit(row: Json, name: str) -> tuple[str, Any] | None:
    for one in rows(row, "extension"):
        if one.get("url") == _CORE + name:
            return value_of(one)
    return None


def _name(item: Item) -> str:
    return shown(item.link or "")
