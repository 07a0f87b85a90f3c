"""package.json as it is found: what is taken from it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest, Unprocessable
from fhir_server.packaging.manifest import Manifest, check_name, is_built_in, parse, read_manifest
from tests.archives import manifest, package, tgz


def parsed(**more: Any) -> Manifest:
    return parse(json.dumps(manifest(**more)).encode())


def test_what_a_package_says_of_itself() -> None:
    assert parsed(title="One", dependencies={"a.b": "1.x"}) == Manifest(
        "org.example.one", "1.0.0", "One", "http://example.org/fhir", ("4.0.1",), (("a.b", "1.x"),)
    )
    assert parse(b"\xef\xbb\xbf" + json.dumps(manifest()).encode()).label == "org.example.one#1.0.0"


@pytest.mark.parametrize(
    ("said", "versions", "is_r4"),
    [
        ({"fhirVersions": ["4.0.1"]}, ("4.0.1",), True),
        ({"fhirVersions": ["4.0.0", "5.0.0"]}, ("4.0.0", "5.0.0"), True),
        ({"fhirVersions": ["4.3.0"]}, ("4.3.0",), False),
        ({"fhirVersions": None, "fhir-version-list": ["3.0.2"]}, ("3.0.2",), False),
        ({"fhirVersions": None, "dependencies": {"hl7.fhir.r4.core": "4.0.1"}}, ("4.0.1",), True),
        ({"fhirVersions": None, "dependencies": {"hl7.fhir.r5.core": "5.0.0"}}, ("5.0.0",), False),
        ({"fhirVersions": []}, (), None),
    ],
)
def test_which_fhir_it_is_for(said: dict[str, Any], versions: tuple[str, ...], is_r4: bool | None) -> None:
    found = parsed(**said)
    assert (found.fhir_versions, found.is_r4) == (versions, is_r4)


@pytest.mark.parametrize(
    ("directories", "folders"),
    [
        ({"lib": "package", "example": "example"}, ("package",)),
        ({"lib": "lib"}, ("package", "package/lib")),
        ({"lib": "package/lib/"}, ("package", "package/lib")),
        ({"lib": 5}, ("package",)),
        ("package", ("package",)),
    ],
)
def test_where_its_content_lies(directories: Any, folders: tuple[str, ...]) -> None:
    assert parsed(directories=directories).folders == folders


@pytest.mark.parametrize(
    ("said", "code", "why"),
    [
        ({"name": None}, "required", "needs a name"),
        ({"name": "@scope/a"}, "value", "without a scope"),
        ({"name": "../a"}, "value", "needs a name"),
        ({"version": ""}, "required", "needs a version"),
        ({"version": "1.*"}, "value", "needs a version"),
        ({"version": "../1"}, "value", "needs a version"),
        ({"version": 1}, "value", "needs a version"),
        ({"dependencies": ["a"]}, "value", "dependencies must be an object"),
        ({"dependencies": {"a/b": "1"}}, "value", "'a/b' must be the name"),
        ({"dependencies": {"a.b": 1}}, "value", "'a.b' must be the name"),
        ({"dependencies": {f"a.n{n}": "1" for n in range(501)}}, "value", "at most 500"),
    ],
)
def test_what_is_wrong_is_said(said: dict[str, Any], code: str, why: str) -> None:
    with pytest.raises(Unprocessable, match=why) as caught:
        parsed(**said)
    (issue,) = caught.value.issues
    assert (issue.code, issue.location) == (code, "package/package.json")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Unprocessable) as caught:
        parsed(name=1, version=2, dependencies={"a/b": "1"})
    assert len(caught.value.issues) == 3


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"name":"a.b","name":"a.c"}', b"[" * 200, b"\xff"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Unprocessable, match=r"package/package\.json"):
        parse(raw)


def test_an_archive_without_one_is_no_package(tmp_path: Path) -> None:
    path = tmp_path / "x.tgz"
    path.write_bytes(tgz(("package.json", manifest()), ("other/package.json", manifest())))
    with pytest.raises(Unprocessable, match="no FHIR package"):
        read_manifest(path)
    path.write_bytes(package(manifest()))
    assert read_manifest(path).name == "org.example.one"


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("hl7.fhir.r4.core", "4.0.1", True),
        ("hl7.fhir.r4.core", "4.0.0", True),
        ("hl7.fhir.r4.core", "4.x", True),
        ("hl7.fhir.r4.core", "latest", True),
        ("hl7.fhir.r4.examples", "4.0.1", True),
        ("hl7.fhir.r4.core", "4.3.0", False),
        ("hl7.fhir.r5.core", "5.0.0", False),
        ("hl7.fhir.us.core", "4.0.1", False),
    ],
)
def test_fhir_r4_itself_is_built_in(name: str, wanted: str, expected: bool) -> None:
    assert is_built_in(name, wanted) is expected


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("", ""),
        ("a/b", ""),
        (".a", ""),
        ("a..b", ""),
        ("a.b", "../1"),
        ("a.b", "current$main"),
        ("a" * 201, ""),
        ("a.b", "1 2"),
    ],
)
def test_what_no_package_is_called_cannot_be_asked_for(name: str, version: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name, version)
    check_name("org.example.one", "1.0.x")
