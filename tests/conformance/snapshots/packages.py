"""The StructureDefinitions of published packages. https://hl7.org/fhir/R4/packages.html"""

from __future__ import annotations

import json
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "ig"
CORE = "hl7.fhir.r4.core"
GUIDES = ("us_core_311", "us_core_610", "ips_110")


@lru_cache(maxsize=4)
def structures(package: str) -> dict[str, Json]:
    """Return the StructureDefinitions of a package by their canonical URLs."""
    found: dict[str, Json] = {}
    with tarfile.open(FOLDER / f"{package}.tgz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".json") and member.name.count("/") == 1:
                stream = archive.extractfile(member)
                assert stream is not None
                resource = json.load(stream)
                if resource.get("resourceType") == "StructureDefinition":
                    found[resource["url"]] = resource
    return found


def profiles(package: str) -> dict[str, Json]:
    """Return the profiles and extensions of a package that are published with a snapshot."""
    return {u: s for u, s in structures(package).items() if s.get("derivation") == "constraint" and "snapshot" in s}
