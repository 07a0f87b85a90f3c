"""The compiled structures of FHIR itself, beside those of the official package."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.definitions.profiles import core_structure, core_structure_urls
from tests.conformance.snapshots.packages import CORE, FOLDER, structures

Json = dict[str, Any]

PREFIX = "http://hl7.org/fhir/StructureDefinition/"
FACTS = ("id", "path", "sliceName", "slicing", "min", "max", "base", "contentReference", "condition", "isModifier",
         "isSummary", "maxLength", "minValueInteger", "maxValueInteger")  # fmt: skip

# Where the official definitions have these extensions, against the contexts that they declare.
FURTHER = {
    PREFIX + "structuredefinition-fhir-type": ["ElementDefinition.type"],
    PREFIX + "regex": ["ElementDefinition.type"],
    PREFIX + "structuredefinition-normative-version": ["ElementDefinition"],
}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the packages are not in ../shared/data/ig")


def _facts(element: Json) -> Json:
    found = {name: element[name] for name in FACTS if name in element}
    found["type"] = [
        {name: row[name] for name in ("code", "profile", "targetProfile", "aggregation", "versioning") if name in row}
        for row in element.get("type", ())
    ]
    found["constraint"] = [
        {name: row[name] for name in ("key", "severity", "expression", "human") if name in row}
        for row in element.get("constraint", ())
    ]
    found["binding"] = {name: element["binding"].get(name) for name in ("strength", "valueSet") if "binding" in element}
    if "slicing" in found:
        found["slicing"] = {name: value for name, value in found["slicing"].items() if name != "description"}
    return found


def test_every_type_has_the_elements_of_the_official_snapshot() -> None:
    count = 0
    for name, definition in r4().types.items():
        if definition.kind == "backbone":
            continue
        ours, theirs = core_structure(PREFIX + name), structures(CORE)[PREFIX + name]
        assert ours is not None, name
        assert [_facts(e) for e in ours["snapshot"]["element"]] == [_facts(e) for e in theirs["snapshot"]["element"]], (
            name
        )
        assert all(ours.get(fact) == theirs.get(fact) for fact in ("url", "version", "kind", "type", "baseDefinition"))
        count += 1
    assert count == 209


def test_every_profile_and_extension_is_there() -> None:
    official = {url for url, s in structures(CORE).items() if s.get("derivation") == "constraint"}
    assert len(official) == 441
    assert official <= set(core_structure_urls())
    for url in official:
        ours, theirs = core_structure(url), structures(CORE)[url]
        assert ours is not None
        assert "snapshot" not in ours
        further = [{"type": "element", "expression": place} for place in FURTHER.get(url, ())]
        assert ours.get("context", []) == theirs.get("context", []) + further
        assert ours.get("contextInvariant") == theirs.get("contextInvariant")
