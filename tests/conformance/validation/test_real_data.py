"""What others wrote: every Synthea resource is accepted, and every official example that has no defect.

refused_examples.json lists each refused example with its reason and issues. https://hl7.org/fhir/R4/examples.html
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.ucum import SYSTEM as UCUM
from fhir_server.fhir.fhirpath.ucum import complaint
from fhir_server.fhir.json import decode
from fhir_server.validation import Validator

DATA = Path(__file__).parents[4] / "shared" / "data"
SYNTHEA = sorted((DATA / "synthea").glob("*.json"))
EXAMPLES = DATA / "r4-examples.tgz"
PACKAGES = sorted((DATA / "ig").glob("*.tgz"))
VERDICTS = DATA / "r4-examples-verdicts.json"
REFUSED: dict[str, Any] = decode((Path(__file__).parent / "refused_examples.json").read_bytes())
VALIDATOR = Validator(r4())
WARNED = ["dom-6", "nsd-0", "pdf-0", "tst-0"]


def examples() -> dict[str, Any]:
    """Return the official examples by file name."""
    found = {}
    with tarfile.open(EXAMPLES) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                found[Path(member.name).name] = decode(stream.read())
    return found


@pytest.mark.skipif(not SYNTHEA, reason="the Synthea patients are not in ../shared/data/synthea")
def test_every_synthea_bundle_is_accepted_as_a_transaction() -> None:
    issues = {
        path.name: VALIDATOR.validate(decode(path.read_bytes()), allow_conditional_references=True) for path in SYNTHEA
    }

    assert issues == {path.name: [] for path in SYNTHEA}


@pytest.mark.skipif(not SYNTHEA, reason="the Synthea patients are not in ../shared/data/synthea")
def test_every_synthea_resource_is_accepted_on_its_own() -> None:
    resources = [entry["resource"] for path in SYNTHEA for entry in decode(path.read_bytes())["entry"]]

    assert len(resources) == 6732
    assert [r["id"] for r in resources if VALIDATOR.validate(r, allow_conditional_references=True)] == []


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the official examples are not in ../shared/data/r4-examples.tgz")
def test_exactly_the_examples_with_a_known_defect_are_refused() -> None:
    found = {
        name: [[issue.code, issue.expression] for issue in VALIDATOR.validate(resource)]
        for name, resource in examples().items()
    }

    assert len(found) == 346
    assert {name: issues for name, issues in found.items() if issues} == {
        name: row["issues"] for name, row in REFUSED.items()
    }


@pytest.mark.skipif(not VERDICTS.exists(), reason="HAPI's verdicts are not in ../shared/data/r4-examples-verdicts.json")
def test_no_example_that_hapi_accepts_is_refused_for_an_invariant() -> None:
    theirs = decode(VERDICTS.read_bytes())
    refused = {name for name, one in examples().items() if any(i.code == "invariant" for i in VALIDATOR.validate(one))}

    assert [name for name in refused if not theirs[name]] == []


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the official examples are not in ../shared/data/r4-examples.tgz")
def test_every_invariant_can_be_evaluated_on_every_example() -> None:
    advice = {name: VALIDATOR.validate(resource, advice=True) for name, resource in examples().items()}

    assert [i for issues in advice.values() for i in issues if "could not be evaluated" in i.diagnostics] == []
    warned = {i.diagnostics.split()[2] for issues in advice.values() for i in issues if i.severity == "warning"}
    assert sorted(warned) == WARNED


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.stem)
def test_every_unit_that_a_published_package_names_is_one(package: Path) -> None:
    named = units_of(package)

    assert len(named) > 3
    assert {code: complaint(code) for code in named if complaint(code)} == {}


def units_of(package: Path) -> set[str]:
    """Return the codes of UCUM in the definitions and examples of a package."""
    found: set[str] = set()
    with tarfile.open(package) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            content = stream.read() if stream is not None else b""
            if UCUM.encode() in content:
                collect_units(json.loads(content), found)
    return found


def collect_units(value: Any, found: set[str]) -> None:
    """Add the codes next to the system of UCUM, and those that value sets list."""
    if isinstance(value, list):
        for one in value:
            collect_units(one, found)
    elif isinstance(value, dict):
        if value.get("system") == UCUM:
            codes = [value.get("code"), *(concept.get("code") for concept in value.get("concept", ()))]
            found.update(code for code in codes if isinstance(code, str))
        for one in value.values():
            collect_units(one, found)


def test_every_refused_example_has_a_reason() -> None:
    assert [name for name, row in REFUSED.items() if not row["reason"].strip() or not row["issues"]] == []
