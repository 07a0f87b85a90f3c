"""Every official R4 example is taken and given back as it is, but for those with a known defect.

https://hl7.org/fhir/R4/http.html#update. What the validator refuses, and why, is listed with the validator's tests.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.testing.client import FhirClient
from tests.conformance.records.plain_json import plain, without_stamp

EXAMPLES = Path(__file__).parents[4] / "shared" / "data" / "r4-examples.tgz"
REFUSED: dict[str, Any] = plain((Path(__file__).parents[1] / "validation" / "refused_examples.json").read_bytes())
# What is wrong with a whole Bundle is no matter of its elements.
BUNDLES = {"Bundle-bundle-search-warning.json": ["422 Bundle.entry[0]"]}
pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(), reason="the official examples are not in ../shared/data/r4-examples.tgz"
)


def examples() -> dict[str, bytes]:
    """Return the examples by file name."""
    found: dict[str, bytes] = {}
    with tarfile.open(EXAMPLES) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                found[Path(member.name).name] = stream.read()
    return found


async def test_every_sound_example_comes_back_as_it_was_put_and_the_others_are_refused(empty: FhirClient) -> None:
    refused: dict[str, list[str]] = {}
    different: list[str] = []
    sent = examples()
    for name, raw in sent.items():
        resource = plain(raw)
        key = f"{resource['resourceType']}/{resource['id']}"
        answer = await empty.send("PUT", key, raw, content_type="application/fhir+json")
        back = await empty.send("GET", key, accept="application/fhir+json")
        if answer.status_code != 201:
            refused[name] = [f"{answer.status_code} {i['expression'][0]}" for i in answer.json()["issue"]]
            assert back.status_code == 404, name
        elif without_stamp(plain(back.content)) != without_stamp(resource):
            different.append(name)

    assert len(sent) == 346
    assert different == []
    defects = {name: [f"422 {path}" for _, path in row["issues"]] for name, row in REFUSED.items()}
    assert refused == defects | BUNDLES
