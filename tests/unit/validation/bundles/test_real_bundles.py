"""Real Bundles: those that HAPI finds in order are in order, and where it finds an error so do we.

The Bundles are the examples of FHIR R4, US Core and IPS. Three examples of US Core have errors that its publisher did
not look for, each a fullUrl that does not agree with its resource.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation.bundles import check_bundle

Json = dict[str, Any]
ERRORS = {
    "r4-examples/Bundle-bundle-search-warning.json": [(".entry[0]", "needs a fullUrl")],
    "r4-examples/Bundle-father.json": [(".entry[5].resource.requester.reference", "Practitioner/example")],
    "us_core_311/Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": [(".entry[2].fullUrl", "of the resource is 71")],
    "us_core_311/Bundle-uscore-mo3.json": [(".entry[1].fullUrl", "A fullUrl is absolute")],
    "us_core_610/Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": [(".entry[2].fullUrl", "of the resource is 71")],
    "us_core_610/Bundle-docref-example-2.json": [(".entry[2].fullUrl", "the id of the resource is discharge")],
}  # fmt: skip
# What HAPI says of Bundles that is about one of their resources, not about the Bundle.
_OF_RESOURCES = (".resource/*", "Constraint failed")


def bundles(shared_data: Path) -> Iterator[tuple[str, Json]]:
    files = [shared_data / "r4-examples.tgz", *sorted((shared_data / "ig").glob("*_*.tgz"))]
    for file in files:
        with tarfile.open(file) as archive:
            for member in archive:
                name = Path(member.name)
                content = archive.extractfile(member)
                if "example" in name.parent.name and name.name.startswith("Bundle-") and content is not None:
                    yield f"{file.stem}/{name.name}", json.load(content)


def test_real_bundles(shared_data: Path) -> None:
    seen: dict[str, list[tuple[str, str]]] = {}
    for name, bundle in bundles(shared_data):
        found = check_bundle(bundle) or []
        seen[name] = [(row.path, row.text) for row in found if row.severity == "error"]

    assert len(seen) == 28
    assert {name: [path for path, _ in rows] for name, rows in seen.items() if rows} == {
        name: [path for path, _ in rows] for name, rows in ERRORS.items()
    }
    for name, rows in ERRORS.items():
        for (_, text), (_, part) in zip(seen[name], rows, strict=True):
            assert part in text


def test_what_hapi_finds_in_the_examples_is_found(shared_data: Path) -> None:
    verdicts = json.loads((shared_data / "r4-examples-verdicts.json").read_text())
    refused = {
        f"r4-examples/{name}"
        for name, rows in verdicts.items()
        if name.startswith("Bundle-") and any(not any(part in "".join(row) for part in _OF_RESOURCES) for row in rows)
    }

    assert refused == {name for name in ERRORS if name.startswith("r4-")}


@pytest.mark.parametrize("kind", ["document", "message", "transaction", "batch", "searchset", "history", "collection"])
def test_real_bundles_of_another_type_raise_nothing(shared_data: Path, kind: str) -> None:
    for name, bundle in bundles(shared_data):
        found = check_bundle(bundle | {"type": kind}) or []
        assert all(row.path.startswith(".") or not row.path for row in found), name
