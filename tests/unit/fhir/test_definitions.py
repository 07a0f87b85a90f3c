"""The tables of definitions are what the official package gives, to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fhir_server.fhir.definitions import r4

ROOT = Path(__file__).parents[3]


def test_the_compiler_gives_the_tables_that_are_shipped(shared_data: Path) -> None:
    package = shared_data / "ig" / "hl7.fhir.r4.core.tgz"
    if not package.is_file():
        pytest.skip("the official R4 core package is not here")
    command = [sys.executable, "tools/compile_definitions.py", str(package), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tables_hold_all_of_r4() -> None:
    definitions = r4()
    assert len(definitions.resource_types) == 146
    assert len(definitions.search_parameters) == 1387
    assert sorted(definitions.compartments) == ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]
    assert definitions.ancestors("Age") == ("Age", "Quantity", "Element")
    value = definitions.types["Observation"].element("value")
    assert value is not None
    assert sorted(value.json_names())[:3] == ["valueBoolean", "valueCodeableConcept", "valueDateTime"]
