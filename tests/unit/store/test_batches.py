"""Many documents become commands that MongoDB takes. https://www.mongodb.com/docs/manual/reference/limits/"""

from __future__ import annotations

from typing import Any

import bson
import pytest

from fhir_server.store.records import INSERT_BATCH, command_sized

Json = dict[str, Any]
MOST = 16 * 1024 * 1024


def document(number: int, size: int, terms: int, ranges: int) -> Json:
    found_by = [(1 << 60) + number + n for n in range(terms)]
    texts = [f"Observation.date-low-{number:010}-{n:010}" for n in range(ranges)]
    return {"_id": f"Observation/{number}", "v": 1, "raw": b"x" * size, "t": found_by, "s": texts}


SMALL, USUAL, LARGE = (5_000, 600, 60, 12), (3_000, 20_000, 40, 10), (40, 1_500_000, 20, 4)
ALL_INDEX, LARGEST = (30, 100, 30_000, 9_000), (3, 15 << 20, 9, 2)


@pytest.mark.parametrize(("count", "size", "terms", "ranges"), [SMALL, USUAL, LARGE, ALL_INDEX, LARGEST])
def test_every_command_fits(count: int, size: int, terms: int, ranges: int) -> None:
    documents = [document(n, size, terms, ranges) for n in range(count)]
    batches = list(command_sized(documents))
    assert [one["_id"] for batch in batches for one in batch] == [one["_id"] for one in documents]
    for batch in batches:
        updates = [{"q": {"_id": one["_id"], "v": 1}, "u": one, "upsert": True} for one in batch]
        assert len(bson.encode({"update": "resources", "updates": updates, "ordered": False})) < MOST
        assert len(batch) <= INSERT_BATCH
    assert len(batches) <= -(-count // INSERT_BATCH) + count * (size + 20 * terms + 60 * ranges) // 8_000_000


def test_nothing_is_no_command() -> None:
    assert list(command_sized([])) == []
