"""The clinic's files are what the script makes, valid R4, and whole in themselves."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode, encode
from fhir_server.validation import Validator

HERE = Path(__file__).parent
PATHS = sorted((HERE / "bundles").glob("*.json"))
REFERENCE = re.compile(r'"reference": "([^"]+)"')


def entries() -> list[dict[str, Any]]:
    return [entry for path in PATHS for entry in decode(path.read_bytes())["entry"]]


def test_the_files_are_what_the_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_clinic", HERE / "make_clinic.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = {name: msgspec.json.format(encode(bundle), indent=1) + b"\n" for name, bundle in module.bundles()}
    assert made == {path.name: path.read_bytes() for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_every_record_is_valid(path: Path) -> None:
    assert Validator(r4()).validate(decode(path.read_bytes())) == []


def test_every_entry_is_put_under_its_own_id_once() -> None:
    urls = [entry["request"]["url"] for entry in entries()]
    resources = [entry["resource"] for entry in entries()]
    assert urls == [f"{resource['resourceType']}/{resource['id']}" for resource in resources]
    assert len(set(urls)) == len(urls) == 249


def test_every_reference_is_to_a_record_of_the_clinic() -> None:
    urls = {entry["request"]["url"] for entry in entries()}
    references = {found for path in PATHS for found in REFERENCE.findall(path.read_text(encoding="utf-8"))}
    assert references - urls == set()
    assert len(references) == 38
