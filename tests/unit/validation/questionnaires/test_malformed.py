"""Whatever the JSON, a check says something or nothing, and never raises."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import UNTOLD
from fhir_server.validation.bundles import check_bundle
from fhir_server.validation.questionnaires import check_questionnaire, check_response

Json = dict[str, Any]
SETTINGS = settings(max_examples=400, deadline=None, database=None, derandomize=True)
NAMES = [
    name
    for line in (
        "item linkId type text enableWhen enableBehavior question operator answerBoolean answerInteger answerCoding",
        "answer answerOption answerValueSet valueString valueInteger valueCoding valueQuantity valueAttachment",
        "valueReference",
        "value system code display required repeats maxLength initial extension url contained id subjectType subject",
        "entry fullUrl resource resourceType reference request method response status search mode link relation total",
        "ifNoneExist section focus subject author meta versionId div",
    )
    for name in line.split()
]
TEXTS = [
    *("a", "b", "group", "display", "choice", "integer", "quantity", "attachment", "=", "exists", ">", "all", "", "#a"),
    *("http://a/Patient/1", "Patient/1", "urn:uuid:1", "Patient", "Composition", "MessageHeader", "PUT", "POST"),
    *(
        "http://hl7.org/fhir/StructureDefinition/regex",
        "http://hl7.org/fhir/StructureDefinition/minValue",
        "1",
        "\ud800",
    ),
    *("http://hl7.org/fhir/StructureDefinition/maxSize", "http://hl7.org/fhir/StructureDefinition/mimeType"),
]
LEAVES = st.sampled_from(TEXTS) | st.sampled_from([None, True, 0, 7, -1, 2**70, Decimal("1.5"), Decimal("NaN")])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=40,
)
PARTS = ("type", "enableWhen", "answerOption", "extension", "maxLength", "item", "answer", "text")
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"linkId": st.sampled_from(["a", "b"])},
        optional=dict.fromkeys(PARTS, VALUES),
    ),
    max_size=4,
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


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


@given(OBJECTS, ITEMS, OBJECTS, ITEMS)
@SETTINGS
def test_responses_and_questionnaires(form: Json, items: list[Json], response: Json, rows: list[Json]) -> None:
    questionnaire = form | {"item": items}

    for found in (
        check_questionnaire(questionnaire),
        check_questionnaire(form),
        check_response(response | {"questionnaire": "http://q", "item": rows}, Known(questionnaire)),
        check_response(response | {"questionnaire": "http://q", "item": rows, "status": "completed"}, Known(form)),
        check_response(response, Known(form)),
    ):
        assert found is None or all(row.text and row.severity for row in found)


@given(OBJECTS, st.lists(OBJECTS, max_size=5), st.sampled_from(["document", "message", "transaction", "searchset"]))
@SETTINGS
def test_bundles(bundle: Json, entries: list[Json], kind: str) -> None:
    first = {"resource": {"resourceType": "Composition" if kind == "document" else "MessageHeader"} | bundle}
    for one in (bundle, bundle | {"type": kind, "entry": entries}, bundle | {"type": kind, "entry": [first, *entries]}):
        found = check_bundle(one)
        assert found is None or all(row.text and row.severity for row in found)
