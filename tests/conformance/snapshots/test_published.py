"""Snapshots made from the differentials of published profiles, beside the snapshots they are published with.

What differs is in quirks.json, each with the reason: [package, profile, start of the element ids, facts, reason].
"""

from __future__ import annotations

import json
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions.profiles import core_structure
from fhir_server.fhir.snapshots import SnapshotError, snapshot
from tests.conformance.snapshots.facts import compare
from tests.conformance.snapshots.packages import CORE, FOLDER, GUIDES, profiles, structures

Json = dict[str, Any]

QUIRKS: list[list[Any]] = json.loads((Path(__file__).parent / "quirks.json").read_bytes())
# US Core 6.1.0 stands on a profile of another guide (SDC) that is not here.
ELSEWHERE = {"http://hl7.org/fhir/us/core/StructureDefinition/us-core-questionnaireresponse"}
# Elements that are published, and how many ids differ in any way: all of these are explained.
COUNTS = {CORE: (5231, 39), "us_core_311": (1516, 29), "us_core_610": (2862, 0), "ips_110": (2692, 6)}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the packages are not in ../shared/data/ig")


def _keys_of_type(package: str, element: Json) -> set[str]:
    """Return the keys of the invariants of an element's types and their profiles."""
    keys: set[str] = set()
    for row in element.get("type", ()):
        for url in (f"http://hl7.org/fhir/StructureDefinition/{row['code']}", *row.get("profile", ())):
            structure = structures(package).get(url) or structures(CORE).get(url, {})
            root = structure.get("snapshot", {}).get("element", [{}])[0]
            keys.update(constraint["key"] for constraint in root.get("constraint", ()))
    return keys


def _made(package: str, structure: Json) -> list[Json]:
    compiled = core_structure(structure["url"]) if package == CORE else None
    return snapshot(compiled or structure, structures(package).get)


@pytest.mark.parametrize("package", [CORE, *GUIDES])
def test_snapshots_are_those_of_the_publishers(package: str) -> None:
    unexplained: list[tuple[str, str, str]] = []
    used: Counter[int] = Counter()
    compared = different = 0
    for url, structure in profiles(package).items():
        if url in ELSEWHERE:
            continue
        name = url.rpartition("/")[2]
        published = structure["snapshot"]["element"]
        found = compare(_made(package, structure), published, lambda e: _keys_of_type(package, e))
        compared += len(published)
        different += len(found)
        for identity, names in found.items():
            for fact in names:
                reasons = [
                    index
                    for index, (its_package, its_name, start, facts, _) in enumerate(QUIRKS)
                    if its_package == package and fnmatchcase(name, its_name)
                    if identity.startswith(start) and fact in facts
                ]
                used.update(reasons)
                if not reasons:
                    unexplained.append((name, identity, fact))
    assert unexplained == []
    assert [quirk for index, quirk in enumerate(QUIRKS) if quirk[0] == package and not used[index]] == []
    assert (compared, different) == COUNTS[package]


def test_a_base_of_another_guide_is_asked_for() -> None:
    (url,) = ELSEWHERE
    with pytest.raises(SnapshotError, match="sdc-questionnaireresponse is not known"):
        _made("us_core_610", structures("us_core_610")[url])


def test_a_generated_base_gives_what_a_published_one_gives() -> None:
    package = "us_core_610"
    bare = {url: {k: v for k, v in s.items() if k != "snapshot"} for url, s in structures(package).items()}
    for url, structure in profiles(package).items():
        if url in ELSEWHERE:
            continue
        assert compare(snapshot(structure, bare.get), _made(package, structure), lambda _: set()) == {}, url
