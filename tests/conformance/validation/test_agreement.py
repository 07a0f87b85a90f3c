"""The whole of $validate agrees with the reference validators: on the official examples, the guides, and small cases.

https://hl7.org/fhir/R4/validation.html. differences.json and guides.json list every difference with its reason.
verdicts.json has cases of our own of what the community's validator tests are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api import encode
from fhir_server.cli.validating.offline import OfflineValidator
from fhir_server.cli.validating.shelf import Shelf, shelf_of
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode
from terminology.service import LocalTerminology
from tests.conformance.profiles.packages import GUIDES, contents
from tests.conformance.validation.test_real_data import examples

HERE = Path(__file__).parent
DIFFERENCES: dict[str, str] = decode((HERE / "differences.json").read_bytes())
OF_GUIDES: list[dict[str, str]] = decode((HERE / "guides.json").read_bytes())
VERDICTS: dict[str, Any] = decode((HERE / "verdicts.json").read_bytes())


async def errors(validator: OfflineValidator, resource: Any, profiles: Sequence[str] = ()) -> list[list[str]]:
    """Return code and expression of every error, in order."""
    issues = await validator.issues(resource, tuple(profiles))
    return sorted([issue.code, issue.expression] for issue in issues if issue.severity in ("error", "fatal"))


async def test_the_verdicts_on_the_official_examples_are_those_of_hapi(shared_data: Path) -> None:
    """340 of 346 agree; in four of the others the specification is on our side, two are about the language of maps."""
    theirs = decode((shared_data / "r4-examples-verdicts.json").read_bytes())
    validator = OfflineValidator(Shelf(), LocalTerminology())
    ours = {name: await errors(validator, resource) for name, resource in examples().items() if name in theirs}

    assert len(ours) == 346
    assert sorted(name for name in ours if bool(theirs[name]) != bool(ours[name])) == sorted(DIFFERENCES)


@pytest.mark.parametrize("guide", GUIDES)
async def test_what_a_guide_publishes_has_exactly_the_errors_that_are_listed(guide: str, shared_data: Path) -> None:
    archive = shared_data / "ig" / f"{guide}.tgz"
    validator = OfflineValidator(shelf_of([archive], frozenset(r4().resource_types)), LocalTerminology())
    found = [
        f"{name.removeprefix('example/')} {code} {expression}"
        for name, resource in contents(archive)
        for code, expression in await errors(validator, resource)
    ]

    assert sorted(found) == sorted(row["finding"] for row in OF_GUIDES if row["guide"] == guide)


@pytest.mark.parametrize("case", VERDICTS["cases"], ids=lambda case: case["case"])
async def test_a_case_has_exactly_these_errors(case: dict[str, Any]) -> None:
    shelf = Shelf()
    for name in case.get("definitions", ()):
        definition = VERDICTS["definitions"][name]
        shelf.add(definition["resourceType"], definition["url"], definition.get("version", ""), encode(definition))
    validator = OfflineValidator(shelf, LocalTerminology())

    assert await errors(validator, case["resource"], case.get("profiles", ())) == case["errors"]


def test_every_difference_has_a_reason() -> None:
    reasons = [*DIFFERENCES.values(), *(row["reason"] for row in OF_GUIDES)]
    assert [reason for reason in reasons if len(reason) < 20] == []


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case["case"] for case in VERDICTS["cases"]]
    assert sorted(set(names)) == sorted(names)
