"""The terminology tests of HL7, general mode, put to the operations. https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_server.api import encode
from tests.conformance.terminology.comparing import as_r5, differences
from tests.conformance.terminology.official_suite import FOLDER, Case, ask, cases

DEVIATIONS: dict[str, str] = json.loads((Path(__file__).parent / "deviations.json").read_text(encoding="utf-8"))
CASES = [case for case in cases() if case.mode == "general"]

pytestmark = pytest.mark.skipif(not CASES, reason=f"the terminology tests of HL7 are not here ({FOLDER})")


async def _wrong(case: Case) -> list[str]:
    """Return how the answer differs from every answer that would be right, or nothing."""
    status, answer = await ask(case)
    if str(status)[0] != case.status[0]:
        return [f"{case.status} was expected, there is {status}: {answer}"]
    given = as_r5(json.loads(encode(answer)))
    found = [list(differences(expected, given)) for expected in case.answers]
    return [] if any(not rows for rows in found) else found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_case(case: Case) -> None:
    wrong = await _wrong(case)
    if case.id in DEVIATIONS:
        assert wrong, f"{case.id} passes now: take it from deviations.json"
    else:
        assert wrong == []


def test_deviations_are_few_and_name_cases() -> None:
    assert set(DEVIATIONS) <= {case.id for case in CASES}
    assert all(DEVIATIONS.values())
    assert len(DEVIATIONS) <= len(CASES) * 0.02
