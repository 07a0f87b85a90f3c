"""Bundles, case by case: every finding with its severity, code, place and text; and Bundles made to take long."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation.bundles import check_bundle
from fhir_server.validation.findings import MAX_FINDINGS

Json = dict[str, Any]
FILES = sorted((Path(__file__).parent / "cases").glob("*.json"))
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in FILES
    for case in json.loads(file.read_text())["cases"]
]
SECONDS = 4.0  # what takes as long as its input is done in a fraction of this


@pytest.mark.parametrize("case", CASES)
def test_bundle(case: Json) -> None:
    bundle: Json = {"resourceType": "Bundle", "type": case["type"]} | case.get("bundle", {})
    bundle |= {} if case["entries"] is None else {"entry": case["entries"]}

    found = check_bundle(bundle)

    shown = [(row.severity, row.code, row.path, row.text) for row in found or ()]
    assert [row[:3] for row in shown] == [tuple(row[:3]) for row in case["found"]], shown
    for (*_, text), (*_, part) in zip(shown, case["found"], strict=True):
        assert part in text
    assert found != []


def test_there_are_many_cases() -> None:
    assert len(FILES) == 5
    assert len(CASES) >= 80


@pytest.mark.parametrize("kind", ["document", "message", "searchset", "history", "transaction", 1])
def test_a_bundle_that_is_malformed_throughout(kind: Any) -> None:
    first = {"resource": {"resourceType": "Composition" if kind == "document" else "MessageHeader", "section": 9}}
    for link, entry in ((2, 3), ([4, {"url": [5]}], [6]), ({"url": 7}, [first, {"resource": 8}])):
        found = check_bundle({"resourceType": "Bundle", "type": kind, "link": link, "entry": entry, "total": "10"})
        assert found != []


def document(links: list[tuple[int, int]], size: int) -> Json:
    """Return a document whose entries refer to each other as told; the first is the Composition."""
    rows: list[Json] = [{"resourceType": "Composition" if n == 0 else "List", "id": f"{n}"} for n in range(size)]
    for source, target in links:
        kind = rows[target]["resourceType"]
        rows[source].setdefault("entry", []).append({"item": {"reference": f"{kind}/{target}"}})
    entries = [{"fullUrl": f"http://a/{row['resourceType']}/{row['id']}", "resource": row} for row in rows]
    return {"resourceType": "Bundle", "type": "document", "entry": entries}


def seconds(bundle: Json) -> tuple[float, int]:
    begin = time.perf_counter()
    found = check_bundle(bundle)
    return time.perf_counter() - begin, len(found or ())


def test_a_long_chain_of_entries() -> None:
    size = 5_000
    assert seconds(document([(n, n + 1) for n in range(size - 1)], size)) < (SECONDS, 0)


def test_a_long_chain_backwards() -> None:
    size = 5_000
    taken, found = seconds(document([(n + 1, n) for n in range(size - 1)], size))

    assert taken < SECONDS
    assert found == MAX_FINDINGS + 1


def test_one_resource_with_many_references_that_lead_nowhere() -> None:
    links = [{"reference": "urn:uuid:1"} for _ in range(20_000)]
    entry = {"fullUrl": "http://a/List/1", "resource": {"resourceType": "List", "id": "1", "entry": links}}
    taken, found = seconds({"resourceType": "Bundle", "type": "collection", "entry": [entry]})

    assert taken < SECONDS
    assert found == MAX_FINDINGS + 1


def test_many_entries_with_the_same_identity() -> None:
    resource = {"resourceType": "Composition", "id": "1", "subject": {"reference": "Composition/1"}}
    entry = {"fullUrl": "http://a/Composition/1", "resource": resource}
    taken, found = seconds({"resourceType": "Bundle", "type": "document", "entry": [entry] * 20_000})

    assert taken < SECONDS
    assert found == 16  # 15 times that there are several versions, and that there is too much to look at
