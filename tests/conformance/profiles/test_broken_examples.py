"""Examples of the guides, broken by hand: exactly what is found, slices and extensions included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import decode
from tests.conformance.profiles.driving import changed
from tests.conformance.profiles.packages import package_of

CASES = decode((Path(__file__).parent / "broken_examples.json").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['file']} {case['case']}")
async def test_a_broken_example_has_these_errors(case: dict[str, Any], shared_data: Path) -> None:
    package = package_of(shared_data, case["guide"])
    resource = changed(package.examples[case["file"]], case)
    found = await package.findings(resource, package.claims[case["file"]])
    errors = [[code, path] for severity, code, path, _ in found if severity == "error"]
    assert sorted(errors) == sorted(case["issues"])
