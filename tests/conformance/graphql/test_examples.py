"""Every official example asked for field by field comes back as it is. https://hl7.org/fhir/R4/examples.html"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api import OperationContext, Parameters, decode_stored
from operations.conftest import Records, Server
from operations.graphql import graphql

Json = dict[str, Any]

ARCHIVE = Path(__file__).parents[4] / "shared/data/r4-examples.tgz"
EXAMPLES = 346

pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="needs ../shared/data/r4-examples.tgz")


def examples() -> list[Json]:
    with tarfile.open(ARCHIVE) as archive:
        files = [archive.extractfile(member) for member in archive if member.name.endswith(".json")]
        return [decode_stored(file.read()) for file in files if file is not None]


def selection(name: str, values: list[Any]) -> str:
    """Return the selection of all that there is in any of several objects; empty for scalars."""
    objects = [one for one in values if isinstance(one, dict)]
    if objects and name in ("contained", "resource") and "resourceType" in objects[0]:
        kinds = {
            one["resourceType"]: [o for o in objects if o["resourceType"] == one["resourceType"]] for one in objects
        }
        return " ".join(["{", *(f"... on {kind} {fields(of_kind)}" for kind, of_kind in kinds.items()), "}"])
    return fields(objects) if objects else ""


def fields(objects: list[Json]) -> str:
    names = dict.fromkeys(name for one in objects for name in one)
    rows = []
    for name in names:
        values = [one[name] for one in objects if name in one]
        below = [v for value in values for v in (value if isinstance(value, list) else [value])]
        rows.append(f"{name} {selection(name, below)}")
    return " ".join(["{", *rows, "}"])


async def test_what_is_asked_for_is_what_is_stored() -> None:
    found = examples()
    assert len(found) == EXAMPLES
    for resource in found:
        records = Records()
        stored = decode_stored(records.add(resource).raw)
        context = OperationContext(
            resource["resourceType"],
            resource["id"],
            Parameters(),
            records,
            Server(records),
            body=fields([stored]),
        )
        answer = decode_stored((await graphql(context)).body)
        assert answer == {"data": stored}, f"{resource['resourceType']}/{resource['id']}"
