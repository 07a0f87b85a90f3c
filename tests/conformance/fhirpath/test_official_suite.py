"""The FHIRPath suite of the specification, every case for real. https://github.com/FHIR/fhir-test-cases"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_server.fhir.fhirpath import FhirPathError, FhirPathSyntaxError
from tests.conformance.fhirpath.official_suite import SUITE_FILE, Case, cases, complaint, evaluate

DEVIATIONS: dict[str, str] = json.loads((Path(__file__).parent / "deviations.json").read_text())
CASES = cases()

pytestmark = pytest.mark.skipif(not CASES, reason=f"{SUITE_FILE} is not there")


def failure(case: Case) -> str:
    """Return how the case fails, or an empty string. Cases that succeed run with and without the type known."""
    if case.error:
        return _missing_error(case)
    for is_static in (True, False):
        try:
            wrong = complaint(case, evaluate(case, is_static=is_static))
        except FhirPathError as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            return f"{'static' if is_static else 'dynamic'}: {wrong}"
    return ""


def _missing_error(case: Case) -> str:
    try:
        result = evaluate(case, is_static=True)
    except FhirPathSyntaxError:
        return ""
    except FhirPathError as error:
        return f"{type(error).__name__} instead of a syntax error" if case.error == "syntax" else ""
    return f"{result} instead of an error"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    wrong = failure(case)
    if case.name in DEVIATIONS:
        assert wrong, f"{case.name} passes now: take it from deviations.json"
    else:
        assert not wrong, f"{case.expression}: {wrong}"


def test_deviations_are_few_and_name_cases() -> None:
    assert set(DEVIATIONS) <= {case.name for case in CASES}
    assert all(DEVIATIONS.values())
    assert len(DEVIATIONS) <= len(CASES) * 0.02
