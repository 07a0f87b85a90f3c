"""Real Questionnaires and responses, the examples of FHIR R4 and US Core: those in order are found in order."""

from __future__ import annotations

import copy
import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import UNTOLD
from fhir_server.validation.questionnaires import check_questionnaire, check_response

Json = dict[str, Any]


class Library:
    """Answers that know the Questionnaires that are there, and no codes."""

    def __init__(self, resources: list[Json]) -> None:
        self._by_url = {one["url"]: one for one in resources if one["resourceType"] == "Questionnaire" and "url" in one}

    def profile(self, canonical: str) -> None:
        return None

    def resource(self, kind: str, canonical: str) -> Json | None:
        return self._by_url.get(canonical.partition("|")[0])

    def member(self, value_set: str, coding: Coding) -> Membership:
        return UNTOLD

    def concept(self, coding: Coding) -> Membership:
        return UNTOLD


def real(shared_data: Path) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for file in (shared_data / "r4-examples.tgz", shared_data / "ig" / "us_core_610.tgz"):
        with tarfile.open(file) as archive:
            for member in archive:
                name = Path(member.name)
                content = archive.extractfile(member)
                if "example" in name.parent.name and name.name.startswith("Questionnaire") and content is not None:
                    found[name.name] = json.load(content, parse_float=Decimal)
    return found


def test_real_questionnaires(shared_data: Path) -> None:
    kinds = [one for one in real(shared_data).values() if one["resourceType"] == "Questionnaire"]

    assert len(kinds) == 5
    assert [row.text for one in kinds for row in check_questionnaire(one) or ()] == []


def test_real_responses(shared_data: Path) -> None:
    files = real(shared_data)
    library = Library(list(files.values()))
    found = {
        name: [(row.severity, row.path) for row in check_response(one, library) or ()]
        for name, one in files.items()
        if one["resourceType"] == "QuestionnaireResponse"
    }

    assert found == {
        "QuestionnaireResponse-bb.json": [],
        "QuestionnaireResponse-gcs.json": [("warning", ".questionnaire")],  # it names none that there is
        "QuestionnaireResponse-glascow-coma-score.json": [],
        "QuestionnaireResponse-hunger-vital-sign-example.json": [],
        "QuestionnaireResponse-phq-9-example.json": [],
        "QuestionnaireResponse-prapare-example.json": [],
    }


@pytest.mark.parametrize("name", ["hunger-vital-sign", "phq-9", "prapare"])
def test_real_responses_that_are_broken(shared_data: Path, name: str) -> None:
    files = real(shared_data)
    library = Library(list(files.values()))
    whole = files[f"QuestionnaireResponse-{name}-example.json"]

    broken = copy.deepcopy(whole)
    leaf(broken)["linkId"] = "/0"
    assert [row.code for row in check_response(broken, library) or () if row.severity == "error"][:1] == ["not-found"]

    broken = copy.deepcopy(whole)
    leaf(broken)["answer"] = [{"valueAttachment": {}}]
    assert "structure" in [row.code for row in check_response(broken, library) or ()]

    broken = copy.deepcopy(whole)
    broken["item"] = broken["item"][::-1] + broken["item"][:1]
    assert "error" in [row.severity for row in check_response(broken, library) or ()]


def leaf(row: Json) -> Json:
    """Return the first item that is answered."""
    while "answer" not in row:
        row = row["item"][0]
    return row
