"""Any Questionnaire, and a response that is made to fit it: nothing is wrong, until it is broken in one place."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import UNTOLD
from fhir_server.validation.questionnaires import check_questionnaire, check_response

Json = dict[str, Any]
SETTINGS = settings(max_examples=150, deadline=None, database=None, derandomize=True)
OPTIONS = [{"valueCoding": {"system": "http://s", "code": code}} for code in ("x", "y", "z")]
# Each type of question with what it says besides, and answers that fit.
QUESTIONS: dict[str, tuple[Json, list[Json]]] = {
    "boolean": ({}, [{"valueBoolean": True}, {"valueBoolean": False}]),
    "integer": (
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/minValue", "valueInteger": 3}]},
        [{"valueInteger": 3}, {"valueInteger": 44}],
    ),
    "decimal": ({}, [{"valueDecimal": Decimal("1.50")}, {"valueDecimal": 7}]),
    "date": ({}, [{"valueDate": "2001-02-03"}, {"valueDate": "2001"}]),
    "time": ({}, [{"valueTime": "10:00:00"}]),
    "string": ({"maxLength": 5}, [{"valueString": "abcde"}, {"valueString": "a"}]),
    "choice": ({"answerOption": OPTIONS}, OPTIONS),
    "open-choice": ({"answerOption": OPTIONS}, [*OPTIONS, {"valueString": "other"}]),
    "reference": ({}, [{"valueReference": {"reference": "Patient/1"}}]),
    "quantity": ({}, [{"valueQuantity": {"value": 1, "unit": "box"}}]),
}


class Known:
    """Answers that know one Questionnaire."""

    def __init__(self, questionnaire: Json) -> None:
        self._questionnaire = questionnaire

    def profile(self, canonical: str) -> None:
        return None

    def resource(self, kind: str, canonical: str) -> Json | None:
        return self._questionnaire

    def member(self, value_set: str, coding: Coding) -> Membership:
        return UNTOLD

    def concept(self, coding: Coding) -> Membership:
        return UNTOLD


class Maker:
    """Draws the items of a form, and then a response that fits them."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._count = 0

    def items(self, depth: int) -> list[Json]:
        return [self._item(depth) for _ in range(self._draw(st.integers(1, 3)))]

    def _item(self, depth: int) -> Json:
        self._count += 1
        kind = self._draw(st.sampled_from([*QUESTIONS, "group", "group", "display"]))
        kind = "string" if depth == 0 and kind == "group" else kind
        item: Json = {"linkId": f"{self._count}", "type": kind, "text": f"Item {self._count}"}
        if kind == "display":
            return item
        item |= {"required": self._draw(st.booleans()), "repeats": self._draw(st.booleans())}
        item |= copy.deepcopy(QUESTIONS[kind][0]) if kind in QUESTIONS else {}
        if kind == "group" or (depth and self._draw(st.booleans())):
            item["item"] = self.items(depth - 1)
        if kind == "group":
            self._condition(item["item"])
        return item

    def _condition(self, items: list[Json]) -> None:
        """Let the last item of a group depend on a boolean that is there before it."""
        flag, last = items[0], items[-1]
        if flag is not last and flag["type"] == "boolean" and not flag["repeats"]:
            value = self._draw(st.booleans())
            last["enableWhen"] = [{"question": flag["linkId"], "operator": "=", "answerBoolean": value}]

    def rows(self, items: list[Json]) -> list[Json]:
        rows: list[Json] = []
        for item in items:
            if self._is_enabled(item, rows):
                rows += self._answered(item)
        return rows

    def _is_enabled(self, item: Json, rows: list[Json]) -> bool:
        for condition in item.get("enableWhen", ()):
            flags = [row for row in rows if row["linkId"] == condition["question"]]
            given = [answer["valueBoolean"] for row in flags for answer in row["answer"]]
            return condition["answerBoolean"] in given
        return True

    def _answered(self, item: Json) -> list[Json]:
        row: Json = {"linkId": item["linkId"]} | ({"text": item["text"]} if self._draw(st.booleans()) else {})
        if item["type"] == "display":
            return [row] if self._draw(st.booleans()) else []
        if not item["required"] and self._draw(st.booleans()):
            return []
        times = self._draw(st.integers(1, 3)) if item["repeats"] else 1
        if item["type"] == "group":
            rows = [row | {"item": self.rows(item["item"])} for _ in range(times)]
            assume(all(one["item"] for one in rows))
            return rows
        answers = [copy.deepcopy(self._draw(st.sampled_from(QUESTIONS[item["type"]][1]))) for _ in range(times)]
        for answer in answers:
            below = self.rows(item.get("item", []))
            answer |= {"item": below} if below else {}
        return [row | {"answer": answers}]


@st.composite
def forms(draw: st.DrawFn) -> tuple[Json, Json]:
    maker = Maker(draw)
    items = maker.items(2)
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://q", "status": "completed"}
    return {"resourceType": "Questionnaire", "item": items}, response | {"item": maker.rows(items)}


def questions(rows: list[Json]) -> list[Json]:
    """Return the items of a response that are answered, at any depth."""
    found = [row for row in rows if "answer" in row]
    for row in rows:
        found += questions(row.get("item", []))
        for answer in row.get("answer", []):
            found += questions(answer.get("item", []))
    return found


def errors(form: Json, response: Json) -> list[str]:
    return [row.text for row in check_response(response, Known(form)) or () if row.severity == "error"]


@given(forms())
@SETTINGS
def test_what_is_made_to_fit_is_in_order(made: tuple[Json, Json]) -> None:
    form, response = made

    assert [row.text for row in check_questionnaire(form) or ()] == []
    assert [(row.severity, row.path, row.text) for row in check_response(response, Known(form)) or ()] == []


@given(forms(), st.data())
@SETTINGS
def test_what_is_broken_is_found(made: tuple[Json, Json], data: st.DataObject) -> None:
    form, response = made
    answered = questions(response["item"])
    assume(answered)
    row = data.draw(st.sampled_from(answered))
    kind = data.draw(st.sampled_from(["link", "type", "value", "twice", "beside", "above"]))

    if kind == "link":
        row["linkId"] = "nowhere"
    elif kind == "type":
        row["answer"][0] = {"valueAttachment": {"url": "http://a"}}
    elif kind == "value":
        assume("maxLength" in item_of(form["item"], row["linkId"]))
        row["answer"][0]["valueString"] = "abcdef"
    elif kind == "twice":
        assume(not item_of(form["item"], row["linkId"])["repeats"])
        row["answer"] = row["answer"] * 2
    elif kind == "beside":
        row["item"] = [{"linkId": row["linkId"]}]
    else:
        response["item"] = [*response["item"], {"linkId": "group of nothing", "item": [row]}]

    assert errors(form, response) != []


@given(forms(), st.data())
@SETTINGS
def test_what_is_required_is_missed(made: tuple[Json, Json], data: st.DataObject) -> None:
    form, response = made
    required = [item["linkId"] for item in form["item"] if item.get("required")]
    assume(required)
    link = data.draw(st.sampled_from(required))
    response["item"] = [row for row in response["item"] if row["linkId"] != link]

    assert any(f"The item {link} is required" in text for text in errors(form, response))


def item_of(items: list[Json], link: str) -> Json:
    for item in items:
        if item["linkId"] == link:
            return item
        found = item_of(item.get("item", []), link)
        if found:
            return found
    return {}
