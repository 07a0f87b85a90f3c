"""Definitions broken at random: whatever they say, they have a snapshot or are refused in the one way there is."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from fhir_server.fhir.definitions.profiles import core_structure
from fhir_server.fhir.snapshots import SnapshotError, snapshot
from tests.unit.fhir.snapshots.profiles import CORE, MINE, Json, profile

PARTS: list[Any] = [None, 1, -1, "", "x", "0", "*", True, 1.5, [], {}, [1], [None], [{}], [[]], {"a": 1}, {"code": 1}]
PARTS += ["Patient.name", "a:b.c:d", "#", "x#y.z", [{"code": "Extension", "profile": ["http://example.org/x"]}]]
TRIES = 400


def break_somewhere(value: Any, random: Random) -> None:
    """Put something else in one place of a JSON value, or take it away."""
    places: list[tuple[Any, Any]] = []
    rest = [value]
    while rest:
        part = rest.pop()
        keys: Any = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        places += [(part, key) for key in keys]
        rest += [part[key] for key in keys]
    owner, key = random.choice(places)
    if random.random() < 0.2:
        del owner[key]
    else:
        owner[key] = random.choice(PARTS)


def outcome(structure: Json, base: Json | None = None) -> str:
    try:
        snapshot(structure, lambda _: base)
    except SnapshotError as error:
        return error.code
    return "made"


@pytest.mark.parametrize("name", ["bp", "patient-animal", "familymemberhistory-genetic"])
def test_a_broken_differential(name: str) -> None:
    whole = json.dumps(core_structure(CORE + name))
    random = Random(name)
    found = set()
    for _ in range(TRIES):
        structure = json.loads(whole)
        break_somewhere(structure["differential"], random)
        found.add(outcome(structure))
    assert {"made", "structure"} < found


def test_a_broken_snapshot_of_a_base() -> None:
    change = {"id": "Patient.name:a.given", "path": "Patient.name.given", "min": 1}
    mine = profile("Patient", {"path": "Patient.name", "slicing": {"rules": "open"}}, change, base=MINE + "first")
    patient = core_structure(CORE + "Patient")
    assert patient is not None
    whole = json.dumps(profile("Patient", name="first") | {"snapshot": patient["snapshot"]})
    random = Random(1)
    found = set()
    for _ in range(TRIES):
        base = json.loads(whole)
        break_somewhere(base["snapshot"], random)
        found.add(outcome(mine, base))
    assert {"made", "structure"} <= found
