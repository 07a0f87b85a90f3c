"""Releases damaged at random are read or refused; nothing else comes of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from fhir_server.api import Failure
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders import test_code_system, test_icd10cm, test_loinc, test_plain_csv, test_rxnorm
from tests.unit.terminology.loaders import test_snomed as snomed
from tests.unit.terminology.loaders.releases import load, zipped

ROUNDS = 40
_PIECES = (b"", b"\0", b'"', b"\t", b"|", b"\n", b",", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"\xff", b"1", b"\\")

RELEASES: dict[str, dict[str, str | bytes]] = {
    "loinc": test_loinc.MEMBERS,
    "snomed-ct": snomed.MEMBERS,
    "rxnorm": test_rxnorm.MEMBERS,
    "icd-10-cm": test_icd10cm.BOTH,
    "csv": {"colours.csv": test_plain_csv.PLAIN},
    "code-system": {"animals.json": json.dumps(test_code_system.WHOLE)},
}


def _cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _hit(content: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) + 1)
        content = content[:at] + dice.choice(_PIECES) + content[at + dice.randint(0, 3) :]
    return content


def _repeat(content: bytes, dice: random.Random) -> bytes:
    first, last = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    return content[:last] + content[first:]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("damage", [_cut, _hit, _repeat])
@pytest.mark.parametrize("kind", RELEASES)
def test_what_is_damaged_is_read_or_refused(
    kind: str, damage: Callable[[bytes, random.Random], bytes], *, lenient: bool
) -> None:
    dice = random.Random(f"{kind} {damage.__name__} {lenient}")
    members = RELEASES[kind]
    refused = 0
    for _ in range(ROUNDS):
        name = dice.choice(sorted(members))
        content = members[name]
        whole = content.encode() if isinstance(content, str) else content
        broken = zipped({**members, name: damage(whole, dice)})
        if dice.random() < 0.2:
            broken = damage(broken, dice)
        try:
            load(kind, broken, "release_01312030.zip", Asked("http://example.org/x", "1"), lenient=lenient)
        except Failure:
            refused += 1
    assert refused
