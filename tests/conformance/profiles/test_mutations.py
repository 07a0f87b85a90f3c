"""Each defect put into an example of a guide is found. https://hl7.org/fhir/R4/validation.html"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.profiles.mutating import mutations
from tests.conformance.profiles.packages import Package, package_of

LEAST = {"us_core_610": 700, "us_core_311": 300, "ips_110": 300}


@pytest.mark.parametrize("name", LEAST)
async def test_every_defect_is_found(name: str, shared_data: Path) -> None:
    package: Package = package_of(shared_data, name)
    missed: list[str] = []
    count = 0
    for file, example in package.examples.items():
        for canonical in package.claims[file]:
            structure = package.resource("StructureDefinition", canonical)
            for what, broken in mutations(structure, example) if structure is not None else ():
                count += 1
                found = await package.findings(broken, [canonical])
                if not any(severity == "error" for severity, *_ in found):
                    missed.append(f"{file}: {what} ({canonical})")
    assert missed == []
    assert count > LEAST[name], count
