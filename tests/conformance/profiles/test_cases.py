"""Profiles of our own, resources that keep and break them, and exactly what is found. https://hl7.org/fhir/R4/profiling.html

A file of cases is about one part of the specification. A case changes a resource, and lists severity, code and path of
every finding; none is a case that conforms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import decode
from tests.conformance.profiles.driving import Shelf, changed, findings

FILES = sorted((Path(__file__).parent / "cases").glob("*.json"))
CASES = [(path.stem, case) for path in FILES for case in decode(path.read_bytes())["cases"]]
SHELVES: dict[str, tuple[Shelf, dict[str, Any]]] = {}


def shelf_of(name: str) -> tuple[Shelf, dict[str, Any]]:
    """Return what the cases of a file are checked with, and its resources."""
    if name not in SHELVES:
        file = decode((Path(__file__).parent / "cases" / f"{name}.json").read_bytes())
        SHELVES[name] = Shelf(file["profiles"], file.get("value_sets", {})), file["resources"]
    return SHELVES[name]


@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda value: value["case"] if isinstance(value, dict) else value)
def test_a_case_is_found_to_be_what_it_is(name: str, case: dict[str, Any]) -> None:
    shelf, resources = shelf_of(name)
    resource = changed(resources[case["of"]], case)
    assert sorted(findings(shelf, case, resource)) == sorted(case.get("issues", []))
