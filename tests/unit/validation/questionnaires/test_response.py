"""Where the Questionnaire of a response comes from, and responses and Questionnaires made to take long."""

from __future__ import annotations

import time
from typing import Any

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import UNTOLD
from fhir_server.validation.findings import MAX_FINDINGS, Finding
from fhir_server.validation.questionnaires import check_questionnaire, check_response

Json = dict[str, Any]
URL = "http://example.org/Questionnaire/q|2"
SECONDS = 4.0  # what takes as long as its input is done in a fraction of this


class Asked:
    """Answers that notes what it is asked."""

    def __init__(self, questionnaire: Json | None = None) -> None:
        self.asked: list[Any] = []
        self._questionnaire = questionnaire

    def profile(self, canonical: str) -> None:
        return None

    def resource(self, kind: str, canonical: str) -> Json | None:
        self.asked.append((kind, canonical))
        return self._questionnaire

    def member(self, value_set: str, coding: Coding) -> Membership:
        self.asked.append((value_set, coding))
        return UNTOLD

    def concept(self, coding: Coding) -> Membership:
        return UNTOLD


def response(items: list[Json], canonical: Any = URL) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": canonical,
        "status": "completed",
        "item": items,
    }


def form(items: list[Json]) -> Json:
    return {"resourceType": "Questionnaire", "item": items}


def rows(found: list[Finding] | None) -> list[tuple[str, str, str]]:
    return [(row.severity, row.code, row.path) for row in found or ()]


def test_a_response_that_names_no_questionnaire_has_nothing_to_keep() -> None:
    answers = Asked()

    assert check_response({"resourceType": "QuestionnaireResponse", "item": [{"linkId": "a"}]}, answers) is None
    assert check_response(response([], canonical=["x"]), answers) is None
    assert answers.asked == []


def test_the_questionnaire_is_asked_for_with_its_version() -> None:
    answers = Asked(form([{"linkId": "a", "type": "string"}]))

    assert check_response(response([{"linkId": "a", "answer": [{"valueString": "A"}]}]), answers) is None
    assert answers.asked == [("Questionnaire", URL)]


def test_a_questionnaire_that_is_not_known_is_a_warning() -> None:
    found = check_response(response([{"linkId": "a"}]), Asked())

    assert rows(found) == [("warning", "not-found", ".questionnaire")]
    assert found is not None
    assert URL in found[0].text


def test_a_contained_questionnaire_is_read_without_asking() -> None:
    answers = Asked()
    resource = response([{"linkId": "b"}], "#q")
    resource["contained"] = [form([{"linkId": "a", "type": "string"}]) | {"id": "q"}]

    assert rows(check_response(resource, answers)) == [("error", "not-found", ".item[0].linkId")]
    assert answers.asked == []


def test_a_contained_questionnaire_has_its_value_sets_beside_it() -> None:
    value_set = {
        "resourceType": "ValueSet",
        "id": "v",
        "compose": {"include": [{"system": "s", "concept": [{"code": "a"}]}]},
    }
    questionnaire = form([{"linkId": "a", "type": "choice", "answerValueSet": "#v"}]) | {"id": "q"}
    resource = response([{"linkId": "a", "answer": [{"valueCoding": {"system": "s", "code": "b"}}]}], "#q")
    resource["contained"] = [questionnaire, value_set]

    assert rows(check_response(resource, Asked())) == [("error", "code-invalid", ".item[0].answer[0].value")]


def test_what_is_contained_may_be_no_questionnaire() -> None:
    resource = response([{"linkId": "b"}], "#q") | {"contained": [{"resourceType": "Patient", "id": "q"}]}

    assert rows(check_response(resource, Asked())) == [("warning", "not-found", ".questionnaire")]


def test_a_code_is_asked_for_with_all_that_is_known_and_not_found_wrong_before_there_is_an_answer() -> None:
    answers = Asked(form([{"linkId": "a", "type": "choice", "answerValueSet": "http://v"}]))
    coding = {"system": "http://s", "code": "c", "version": "1", "display": "C"}

    assert check_response(response([{"linkId": "a", "answer": [{"valueCoding": coding}]}]), answers) is None
    assert answers.asked[1:] == [("http://v", Coding("http://s", "c", "1", "C"))]


def test_findings_are_cut_off_and_errors_come_first() -> None:
    items = [{"linkId": "a", "text": "Other", "answer": [{"valueString": "A"}]} for _ in range(300)]
    questionnaire = form([{"linkId": "a", "type": "integer", "text": "A", "repeats": True}])

    found = check_response(response(items), Asked(questionnaire))

    assert found is not None
    assert len(found) <= 2 * (MAX_FINDINGS + 1)
    assert [row.severity for row in found[: MAX_FINDINGS + 1]] == ["error"] * (MAX_FINDINGS + 1)


def timed(resource: Json, questionnaire: Json) -> list[tuple[str, str, str]]:
    begin = time.perf_counter()
    found = rows(check_response(resource, Asked(questionnaire)))
    assert time.perf_counter() - begin < SECONDS
    return found


def when(question: str) -> list[Json]:
    return [{"question": question, "operator": "=", "answerInteger": 1}]


def test_ten_thousand_items_that_wait_for_the_next_one() -> None:
    many = 10_000
    items = [{"linkId": f"{n}", "type": "integer", "enableWhen": when(f"{n + 1}")} for n in range(many)]
    answered = [{"linkId": f"{n}", "answer": [{"valueInteger": 1}]} for n in range(many)]

    # The last waits for nobody who exists, so nothing is known of it, nor of those that wait for it.
    assert timed(response(answered), form(items)) == []


def test_ten_thousand_items_that_wait_for_the_one_before() -> None:
    many = 10_000
    items = [{"linkId": f"{n}", "type": "integer", "enableWhen": when(f"{n - 1}") if n else []} for n in range(many)]
    answered = [{"linkId": f"{n}", "answer": [{"valueInteger": 1 if n != 9000 else 2}]} for n in range(many)]

    assert timed(response(answered), form(items))[0] == ("error", "business-rule", ".item[9001]")


def test_many_conditions_on_many_answers_are_given_up() -> None:
    several = [{"question": "a", "operator": "=", "answerInteger": n} for n in range(1000)]
    items: list[Json] = [
        {"linkId": "a", "type": "integer", "repeats": True},
        {"linkId": "b", "type": "string", "enableWhen": several},
    ]
    answered: list[Json] = [{"linkId": "a", "answer": [{"valueInteger": -1}] * 10_000}, {"linkId": "b"}]

    assert timed(response(answered), form(items)) == [("error", "too-costly", "")]


def test_many_repetitions_of_a_group_with_many_questions_are_given_up() -> None:
    children = [{"linkId": f"{n}", "type": "string", "required": True, "enableWhen": when("x")} for n in range(3000)]
    items: list[Json] = [
        {"linkId": "x", "type": "integer"},
        {"linkId": "g", "type": "group", "repeats": True, "item": children},
    ]

    assert timed(response([{"linkId": "g"}] * 3000), form(items)) == [("error", "too-costly", "")]


def test_many_options_and_many_answers() -> None:
    options = [{"valueCoding": {"system": "http://s", "code": f"{n}"}} for n in range(10_000)]
    given = [{"valueCoding": {"system": "http://s", "code": f"{n}"}} for n in range(10_000)]
    items = [{"linkId": "a", "type": "choice", "repeats": True, "answerOption": options}]

    assert timed(response([{"linkId": "a", "answer": given}]), form(items)) == []


def test_large_expressions_on_long_answers_are_given_up() -> None:
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": "(x?){900}x{900}y"}
    items = [{"linkId": "a", "type": "text", "repeats": True, "extension": [extension]}]
    long = [{"valueString": "x" * 200_000}] * 50

    assert timed(response([{"linkId": "a", "answer": long}]), form(items))[0] == ("error", "too-costly", "")
    short = [{"linkId": "a", "answer": [{"valueString": "x" * 1000}]}]
    assert [row[:2] for row in timed(response(short), form(items))] == [("error", "business-rule")]


def test_items_as_deep_as_json_may_be_and_deeper() -> None:
    item: Json = {"linkId": "0", "type": "group"}
    row: Json = {"linkId": "0"}
    for n in range(1, 300):
        item = {"linkId": f"{n}", "type": "group", "item": [item]}
        row = {"linkId": f"{n}", "item": [row]}

    found = timed(response([row]), form([item]))

    assert [row[:2] for row in found] == [("error", "not-found")]  # what is deeper than JSON may be is not read


def test_a_long_circle_in_a_questionnaire() -> None:
    many = 10_000
    items = [{"linkId": f"{n}", "type": "integer", "enableWhen": when(f"{(n + 1) % many}")} for n in range(many)]
    begin = time.perf_counter()

    assert rows(check_questionnaire(form(items))) == [("warning", "business-rule", f".item[{many - 1}].enableWhen")]
    assert time.perf_counter() - begin < SECONDS
