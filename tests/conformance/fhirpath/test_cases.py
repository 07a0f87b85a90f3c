"""The project's own cases, one file for each section of the specification, with the type known beforehand and not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir import json as fhir_json
from fhir_server.fhir.fhirpath import (
    Environment,
    FhirPathError,
    FhirPathEvaluationError,
    FhirPathNotSupported,
    FhirPathSemanticError,
    FhirPathSyntaxError,
    Node,
    Quantity,
    compile,
)
from fhir_server.fhir.fhirpath.quantities import written

_HERE = Path(__file__).parent
PATIENT = fhir_json.decode((_HERE / "inputs" / "small-patient.json").read_bytes())
CLOCK = Environment(now=lambda: datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC))
ERRORS: dict[str, type[FhirPathError]] = {
    "syntax": FhirPathSyntaxError,
    "semantic": FhirPathSemanticError,
    "evaluation": FhirPathEvaluationError,
    "not-supported": FhirPathNotSupported,
}


def cases() -> list[Any]:
    found = []
    for path in sorted((_HERE / "cases").glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            found.append(pytest.param(case, id=f"{path.stem}: {case['expression']}"))
    return found


@pytest.mark.parametrize("root_type", ["Patient", None], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", cases())
def test_case(case: dict[str, Any], root_type: str | None) -> None:
    if "error" in case:
        with pytest.raises(ERRORS[case["error"]]):
            compile(case["expression"], root_type).evaluate(PATIENT, environment=CLOCK)
        return
    result = compile(case["expression"], root_type).evaluate(PATIENT, environment=CLOCK)
    assert [plain(node) for node in result] == case["result"]
    assert [type(plain(node)) for node in result] == [type(value) for value in case["result"]]
    if "types" in case:
        assert [node.type for node in result] == case["types"]


def plain(node: Node) -> Any:
    """Return the value as the cases write it: decimals and quantities as text."""
    if isinstance(node.value, Quantity):
        return written(node.value)
    return str(node.value) if isinstance(node.value, Decimal) else node.value
