"""What others wrote: every Synthea resource is accepted, and every official example that has no defect.

refused_examples.json lists each refused example with its reason and issues. https://hl7.org/fhir/R4/examples.html
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode
from fhir_server.validation import Validator

DATA = Path(__file__).parents[4] / "shared" / "data"
SYNTHEA = sorted((DATA / "synthea").glob("*.json"))
EXAMPLES = DATA / "r4-examples.tgz"
REFUSED: dict[str, Any] = decode((Path(__file__).parent / "refused_examples.json").read_bytes())
VALIDATOR = Validator(r4())


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
    found: dict[str, list[list[str]]] = {}
    with tarfile.open(EXAMPLES) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                issues = VALIDATOR.validate(decode(stream.read()))
                found[Path(member.name).name] = [[issue.code, issue.expression] for issue in issues]

    assert len(found) == 346
    assert {name: issues for name, issues in found.items() if issues} == {
        name: row["issues"] for name, row in REFUSED.items()
    }


def test_every_refused_example_has_a_reason() -> None:
    assert [name for name, row in REFUSED.items() if not row["reason"].strip() or not row["issues"]] == []
