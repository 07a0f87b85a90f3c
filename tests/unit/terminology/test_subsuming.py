"""Which of some codes subsume which: each pair once, and none of old codes alone."""

from __future__ import annotations

from typing import cast

import pytest

from fhir_server.api import Concepts, StoredSystem
from terminology.codesystem import CodeSystem
from terminology.findings import Findings
from terminology.stored import StoredCodeSystem, StoredNode
from terminology.subsuming import pairs_with
from tests.unit.terminology.shelf import ANIMALS, animals

MEMORY = CodeSystem(animals())
# animal 0, bird 1, duck 2, owl 3, fish 4, eel 5, stone 6: what is below each, as spans of these numbers
PLACES = {"animal": (0, ((1, 5),)), "bird": (1, ((2, 3),)), "owl": (3, ()), "fish": (4, ((5, 5),)), "eel": (5, ())}


def stored() -> StoredCodeSystem:
    head = {"resourceType": "CodeSystem", "url": ANIMALS, "content": "complete"}
    made = StoredCodeSystem(StoredSystem("k", ANIMALS, "2", head, 7), cast(Concepts, None), Findings())
    for code, (ordinal, below) in PLACES.items():
        made.nodes[code] = StoredNode(code, ordinal=ordinal, below=below)
    return made


@pytest.mark.parametrize("source", [MEMORY, stored()], ids=["memory", "stored"])
@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        ("", "owl eel", ""),
        ("", "owl bird animal", "bird<animal owl<animal owl<bird"),
        ("owl animal", "bird", "bird<animal owl<bird"),
        ("owl bird", "animal", "bird<animal owl<animal"),
        ("animal bird", "owl fish eel", "eel<animal eel<fish fish<animal owl<animal owl<bird"),
        ("animal bird", "", ""),
    ],
)
def test_pairs(source: CodeSystem, old: str, new: str, pairs: str) -> None:
    found = list(pairs_with(source, new.split(), [*old.split(), *new.split()]))
    assert " ".join(sorted(f"{below}<{above}" for below, above in found)) == pairs
