"""The specification's examples in both forms. https://hl7.org/fhir/R4/downloads.html"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import decode as from_json
from fhir_server.fhir.json import encode as to_json
from fhir_server.fhir.xml import decode, encode

DATA = Path(__file__).parents[4] / "shared" / "data"
ARCHIVE = DATA / "r4-examples.tgz"
FOLDER = DATA / "fhir-test-cases" / "r4" / "examples"
# The folder's two forms of this one differ in content: one has an extension and other references in its narrative.
UNLIKE = "observation-example"


def texts() -> Iterator[tuple[str, bytes]]:
    """Yield name and JSON of each example."""
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                yield member.name, stream.read()


def ordered(value: Any) -> Any:
    """Return a value with its members in alphabetical order, for comparing the digits of decimals as well."""
    if isinstance(value, dict):
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def digits(value: Any) -> Any:
    """Return a value with decimals as text: the forms may write 1.0 as 1.0e0, but not as 1.00."""
    if isinstance(value, dict):
        return {name: digits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [digits(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the official examples are not in ../shared/data/r4-examples.tgz")
def test_every_example_is_the_same_after_a_journey_through_xml() -> None:
    changed = []
    count = 0
    for name, raw in texts():
        value = from_json(raw)
        if to_json(ordered(decode(encode(value)))) != to_json(ordered(value)):
            changed.append(name)
        count += 1
    assert changed == []
    assert count == 346


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the test cases are not in ../shared/data/fhir-test-cases")
def test_examples_in_xml_say_what_those_in_json_say() -> None:
    pairs = [path for path in sorted(FOLDER.glob("*.xml")) if path.with_suffix(".json").is_file()]
    unlike = [
        path.stem
        for path in pairs
        if digits(decode(path.read_bytes())) != digits(from_json(path.with_suffix(".json").read_bytes()))
    ]
    assert unlike == [UNLIKE]
    assert len(pairs) == 5


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the test cases are not in ../shared/data/fhir-test-cases")
def test_examples_in_xml_are_written_as_they_are_read() -> None:
    paths = sorted(FOLDER.glob("*.xml"))
    for path in paths:
        value = decode(path.read_bytes())
        assert to_json(decode(encode(value))) == to_json(value), path.name
    assert len(paths) == 10
