"""A QuestionnaireResponse keeps the rules of its Questionnaire. https://hl7.org/fhir/R4/questionnaireresponse.html

Where the response is not complete (its status is neither completed nor amended), what is missing is information and
what does not keep a limit a warning; its structure, the types of answers and the options count at any time.
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.fhirpath.references import contained_resource, target_type
from fhir_server.validation.answers import Answers
from fhir_server.validation.findings import Findings, Json, shown
from fhir_server.validation.questionnaires.definition import DISPLAY, GROUP, Form, Item
from fhir_server.validation.questionnaires.enabling import Enabling
from fhir_server.validation.questionnaires.limits import Rule, limits_of
from fhir_server.validation.questionnaires.occurrences import Occurrence, Occurrences
from fhir_server.validation.questionnaires.options import Options, problem_of, shown_url
from fhir_server.validation.questionnaires.values import Value, rows, value_of
from fhir_server.validation.report import Enough, Report, TooCostly

TYPES = {
    "boolean": ("Boolean",),
    "decimal": ("Decimal",),
    "integer": ("Integer",),
    "date": ("Date",),
    "dateTime": ("DateTime",),
    "time": ("Time",),
    "string": ("String",),
    "text": ("String",),
    "url": ("Uri",),
    "choice": ("Coding",),
    "open-choice": ("Coding", "String"),
    "attachment": ("Attachment",),
    "reference": ("Reference",),
    "quantity": ("Quantity",),
}
_CHOICES = ("choice", "open-choice")
_COMPLETE = ("completed", "amended")


def check_response(response: Json, answers: Answers[Any]) -> Findings | None:
    """Return what in a response is not as its Questionnaire wants it; None when all is, or when it names none."""
    canonical = response.get("questionnaire")
    if type(canonical) is not str:
        return None
    report = Report()
    questionnaire = _questionnaire(response, canonical, answers)
    if questionnaire is None:
        text = f"The Questionnaire {shown_url(canonical)} is not known, so the response is not checked against it."
        report.add(".questionnaire", "not-found", text, "warning")
        return report.all()
    try:
        held = response if canonical.startswith("#") else None
        _Check(Form(questionnaire, held), response, answers, report).run()
    except TooCostly:
        report.give_up()
    except Enough:
        pass
    return report.all()


def _questionnaire(response: Json, canonical: str, answers: Answers[Any]) -> Json | None:
    if not canonical.startswith("#"):
        return answers.resource("Questionnaire", canonical)
    held = contained_resource(response, canonical)
    return held if held is not None and held.get("resourceType") == "Questionnaire" else None


class _Check:
    def __init__(self, form: Form, response: Json, answers: Answers[Any], report: Report) -> None:
        self._form = form
        self._response = response
        self._answers = answers
        self._report = report
        self._occurrences = Occurrences(form, response, report)
        self._enabling = Enabling(form, self._occurrences, report)
        self._is_complete = response.get("status") in _COMPLETE
        self._wrong = "error" if self._is_complete else "warning"
        self._rules: dict[Item, tuple[Options, list[Rule]]] = {}

    def run(self) -> None:
        self._subject()
        for one in self._occurrences.all:
            if not one.is_answer and one.parent is not None:
                self._occurrence(one)
            if one.is_answer or one.item.kind == GROUP:
                self._below(one)

    def _subject(self) -> None:
        kinds = self._form.questionnaire.get("subjectType")
        kind = target_type(self._response.get("subject"), self._response)
        if type(kinds) is list and kinds and kind is not None and kind not in kinds:
            text = f"The Questionnaire is about {', '.join(map(str, kinds[:12]))}, the response about a {kind}."
            self._report.add(".subject", "business-rule", text, "warning")

    def _occurrence(self, one: Occurrence) -> None:
        self._text(one)
        if self._enabling.of(one) is False:
            assert one.parent is not None
            if self._enabling.of(one.parent) is not False and _has_answers(one.row):
                text = f"The item {_name(one.item)} is not enabled by the answers given, so it has no answers."
                self._report.add(one.path, "business-rule", text, self._wrong)
        if one.item.kind not in (GROUP, DISPLAY):
            self._question(one)

    def _text(self, one: Occurrence) -> None:
        expected, given = one.item.row.get("text"), one.row.get("text")
        if type(given) is not str or type(expected) is not str or _same_words(given, expected):
            return
        shadow = one.item.row.get("_text")
        if type(shadow) is dict and any(_same_words(given, text) for text in _translations(shadow)):
            return
        text = f"The text is not that of the item {_name(one.item)} in the Questionnaire."
        self._report.add(one.path + ".text", "business-rule", text, "warning")

    def _below(self, holder: Occurrence) -> None:
        """Look for what is missing in a group, in an answer or in the response, and for what is there too often."""
        demanding = holder.item.demanding
        self._report.spend(1 + len(demanding))
        for child in demanding:
            self._demanded(child, holder)
        for child, given in holder.below.items():
            if len(given) < 2:
                continue
            if child.most == 1:
                text = f"The item {_name(child)} does not repeat, and is here {len(given)} times."
                self._report.add(given[1].path, "structure", text)
            elif child.kind != GROUP:
                text = f"The item {_name(child)} is a question: several answers stand in one item."
                self._report.add(given[1].path, "structure", text, "warning")
            elif child.most is not None and len(given) > child.most:
                text = f"The item {_name(child)} is here {len(given)} times; at most {child.most} are allowed."
                self._report.add(given[child.most].path, "business-rule", text, self._wrong)

    def _demanded(self, child: Item, holder: Occurrence) -> None:
        given = holder.below.get(child, [])
        if child.kind == GROUP:
            count = sum(1 for one in given if rows(one.row, "item"))
        elif child.kind == DISPLAY:
            count = len(given)
        else:
            count = sum(_is_answered(answer) for one in given for answer in rows(one.row, "answer"))
        if count >= child.least or not (count or child.is_required):
            return
        if self._enabling.of_item(child, holder, holder.end) is not True:
            return
        if count:
            text = f"The item {_name(child)} has to be here {child.least} times or more; found {count}."
        elif given and child.kind == GROUP:
            text = f"The group {_name(child)} is required, and there is nothing in it."
        else:
            text = f"The item {_name(child)} is required{_means(child)}."
        path = given[0].path if given else holder.path
        self._report.add(path, "required", text, "error" if self._is_complete else "information")

    def _question(self, one: Occurrence) -> None:
        item = one.item
        given = one.row.get("answer")
        values: list[tuple[str, Value]] = []
        for index, answer in enumerate(given if type(given) is list else ()):
            value = value_of(answer) if type(answer) is dict else None
            if value is not None:
                values.append((f"{one.path}.answer[{index}].value", value))
        if item.most is not None and len(values) > item.most:
            text = f"The item {_name(item)} has {len(values)} answers; at most {item.most} allowed."
            if item.most == 1:
                text = f"The item {_name(item)} does not repeat, so it has one answer; found {len(values)}."
            self._report.add(one.path + ".answer", "structure", text)
        if item.kind in TYPES:
            self._values(item, values)

    def _values(self, item: Item, values: list[tuple[str, Value]]) -> None:
        known = self._rules.get(item)
        if known is None:
            rules = limits_of(item, self._response, self._answers, self._report.spend)
            known = self._rules[item] = Options(item), rules
        options, rules = known
        allowed = _kinds(item, options)
        for path, value in values:
            if value[0] not in allowed:
                names = " or ".join("value" + kind for kind in allowed)
                text = f"Answers to the item {_name(item)} of type {item.kind} are given as {names}"
                self._report.add(path, "structure", f"{text}; this is value{shown(value[0])}.")
                continue
            problem = problem_of(item, options, self._form, value, self._answers)
            if problem is not None:
                self._report.add(path, *problem)
            for rule in rules:
                wrong = rule(value)
                if wrong is not None:
                    self._report.add(path, "business-rule", wrong, self._wrong)
            if len(values) > 1 and options.excludes(value):
                text = "The answer is an option that excludes all others, and there are others."
                self._report.add(path, "business-rule", text, self._wrong)


def _kinds(item: Item, options: Options) -> list[str]:
    """Return the types of value that an item takes; options of other types than Coding are answered as they are."""
    kinds = list(TYPES[item.kind])
    if item.kind in _CHOICES and options:
        kinds = sorted(options.kinds | ({"String"} if item.kind == "open-choice" else set()))
    return kinds


def _is_answered(answer: Json) -> bool:
    """Whether there is a value, or a reason why there is none."""
    return "extension" in answer or any(name.startswith(("value", "_value")) for name in answer)


def _has_answers(row: Json) -> bool:
    """Whether there is an answer in an item or below it."""
    todo: list[Any] = [row]
    for one in todo:
        given = rows(one, "answer")
        if any(map(_is_answered, given)):
            return True
        todo += rows(one, "item")
        todo += [below for answer in given for below in rows(answer, "item")]
    return False


def _translations(shadow: Json) -> list[str]:
    """Return the texts of the translation extension."""
    url = "http://hl7.org/fhir/StructureDefinition/translation"
    parts = [part for one in rows(shadow, "extension") if one.get("url") == url for part in rows(one, "extension")]
    return [value[1] for part in parts if (value := value_of(part)) is not None and type(value[1]) is str]


def _same_words(left: str, right: str) -> bool:
    return left == right or left.split() == right.split()


def _name(item: Item) -> str:
    return shown(item.link or "")


def _means(item: Item) -> str:
    text = item.row.get("text")
    return f" ({shown(text)})" if type(text) is str else ""
