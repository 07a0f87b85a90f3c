"""US Core 3.1.1, 6.1.0 and IPS 1.1.0: all profiles compile, and the examples conform to what they claim.

https://hl7.org/fhir/us/core/, https://hl7.org/fhir/uv/ips/. What an example gets wrong is listed with the reason.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_server.fhir.json import decode
from fhir_server.validation.profiles import compile_profile
from tests.conformance.profiles.packages import GUIDES, Package, package_of

EXCEPTIONS = decode((Path(__file__).parent / "exceptions.json").read_bytes())


@pytest.fixture(params=GUIDES)
def guide(request: pytest.FixtureRequest, shared_data: Path) -> tuple[str, Package]:
    """A guide, read once."""
    return str(request.param), package_of(shared_data, str(request.param))


def test_every_profile_and_extension_compiles_and_can_be_decided(guide: tuple[str, Package]) -> None:
    compiled = [compile_profile(row, row["snapshot"]["element"]) for row in guide[1].structures()]
    assert len(compiled) > 400
    assert [(profile.url, profile.warnings) for profile in compiled if profile.warnings] == []


async def test_the_examples_conform_to_what_they_claim(guide: tuple[str, Package]) -> None:
    name, package = guide
    found = {
        f"{file} {code} {path}": text
        for file, example in package.examples.items()
        for severity, code, path, text in await package.findings(example, package.claims[file])
        if severity == "error"
    }
    expected = {row["finding"] for row in EXCEPTIONS if row["guide"] == name}
    assert {key: text for key, text in found.items() if key not in expected} == {}
    assert expected - found.keys() == set()


def test_the_examples_claim_profiles_that_are_known(guide: tuple[str, Package]) -> None:
    name, package = guide
    urls = [url for rows in package.claims.values() for url in rows]
    unknown = {url for url in urls if package.profile(url) is None}
    assert unknown <= {"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire"}
    assert len(urls) > {"us_core_610": 150, "us_core_311": 70, "ips_110": 30}[name]
