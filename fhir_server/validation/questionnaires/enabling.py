"""Whether an item is enabled, by what was answered. https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen

Nothing is enabled below what is not, and an answer to a question that is not enabled counts as none. Where it cannot be
told the answer is None, and nothing is asked of the item: dates of different precision, units that do not compare,
conditions in a circle, expressions of SDC (enableWhenExpression), and what the specification leaves open (`!=` where
there is no answer or several; a question that has several answers and asks about itself from below one of them).
"""

from __future__ import annotations

from fhir_server.validation.findings import Json
from fhir_server.validation.questionnaires.definition import Form, Item, conditions, is_open
from fhir_server.validation.questionnaires.occurrences import Occurrence, Occurrences
from fhir_server.validation.questionnaires.values import Value, compare, is_equal, rows, value_of
from fhir_server.validation.report import Report

Verdict = bool | None

_MAX_NESTED = 100  # how far what is asked may lead on; what is further away is not known
_ORDERS = {
    ">": (1,),
    "<": (-1,),
    ">=": (0, 1),
    "<=": (-1, 0),
}


class Enabling:
    """Says of every item of one response whether it is enabled; what was said is kept."""

    def __init__(self, form: Form, occurrences: Occurrences, report: Report) -> None:
        self._form = form
        self._occurrences = occurrences
        self._report = report
        self._nested = 0

    def of(self, one: Occurrence) -> Verdict:
        """Whether an item that is in the response is enabled."""
        if one.parent is None:
            return True
        if one.enabled is ...:
            one.enabled = None  # what leads back here is a circle
            if self._nested < _MAX_NESTED:
                self._nested += 1
                one.enabled = self.of(one.parent) if one.is_answer else self.of_item(one.item, one.parent, one.place)
                self._nested -= 1
        verdict: Verdict = one.enabled
        return verdict

    def of_item(self, item: Item, holder: Occurrence, place: int) -> Verdict:
        """Whether an item is, or would be, enabled at a place below the holder."""
        above = self.of(holder)
        given = conditions(item)
        if above is False:
            return False
        if is_open(item):
            return None
        if not given:
            return above
        verdicts = [self._condition(row, holder, place) for row in given]
        own = _all(verdicts) if item.row.get("enableBehavior") == "all" else _any(verdicts)
        return own if above else _all([above, own])

    def _condition(self, condition: Json, holder: Occurrence, place: int) -> Verdict:
        question = self._form.by_link.get(str(condition.get("question")))
        expected = value_of(condition, "answer")
        if question is None or expected is None:
            return None
        near = self._occurrences.nearest(question, holder, place)
        if near is None:
            return self._holds(condition, [], expected)
        enabled = self.of(near)
        if near.is_answer and near.parent is not None:  # the question is above, and may have more answers
            own = self._holds(condition, [near.row], expected)
            every = self._holds(condition, rows(near.parent.row, "answer"), expected)
            return own if own is every and enabled else None
        if enabled is None:
            return None
        return self._holds(condition, rows(near.row, "answer") if enabled else [], expected)

    def _holds(self, condition: Json, answers: list[Json], expected: Value) -> Verdict:
        self._report.spend(1 + len(answers))
        operator = condition.get("operator")
        values = [value for value in map(value_of, answers) if value is not None]
        if operator == "exists":
            return bool(values) is expected[1] if type(expected[1]) is bool else None
        if operator == "=":
            return _any([is_equal(value, expected) for value in values])
        if operator == "!=":
            same = {is_equal(value, expected) for value in values}
            return None if len(same) != 1 or None in same else same == {False}
        wanted = _ORDERS.get(str(operator))
        if wanted is None:
            return None
        orders = [compare(value, expected) for value in values]
        return _any([None if order is None else order in wanted for order in orders])


def _any(verdicts: list[Verdict]) -> Verdict:
    return True if True in verdicts else None if None in verdicts else False


def _all(verdicts: list[Verdict]) -> Verdict:
    return False if False in verdicts else None if None in verdicts else True
