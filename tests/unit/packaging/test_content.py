"""The files of a package judged one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.api.errors import Malformed, NotSupported, Unprocessable
from fhir_server.api.packages import PackageResource
from fhir_server.packaging.archive import File
from fhir_server.packaging.content import MAX_ISSUES, Judge
from fhir_server.packaging.manifest import Manifest
from tests.archives import CANONICAL, definition

TYPES = frozenset({"StructureDefinition", "ValueSet", "CodeSystem", "Patient", "CapabilityStatement"})


def judge(*versions: str) -> Judge:
    return Judge(Manifest("a.b", "1.0.0", fhir_versions=versions or ("4.0.1",)), TYPES)


def take(one: Judge, *resources: Any) -> list[PackageResource]:
    raw = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in resources]
    return one.take(iter([File(f"package/{n}.json", r) for n, r in enumerate(raw)]), 1 << 20) or []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("package/ValueSet-a.json", True),
        ("package/lib/ValueSet-a.json", True),
        ("package/package.json", False),
        ("package/.index.json", False),
        ("package/example/Patient-a.json", False),
        ("package/xml/ValueSet-a.xml", False),
        ("package/other/spec.json", False),
        ("ValueSet-a.json", False),
        ("package/ValueSet-a.xml", False),
    ],
)
def test_which_files_are_content(path: str, expected: bool) -> None:
    assert Judge(Manifest("a.b", "1", folders=("package", "package/lib")), TYPES).wants(path) is expected


def test_definitions_are_taken_as_they_are_and_others_counted() -> None:
    one, raw = judge(), b'{"resourceType": "ValueSet", "url": "http://x.example/v"}'
    versioned = {"resourceType": "ValueSet", "url": "http://x.example/v|1"}
    found = take(one, raw, {"resourceType": "Patient"}, {"resourceType": "Rock", "url": "x"}, [], {"f": 1}, versioned)
    assert found == [PackageResource("ValueSet", "http://x.example/v", "", "", "package/0.json", raw)]
    assert (one.counts, one.skipped) == ({"ValueSet": 1}, 5)
    assert take(judge(), b"\xef\xbb\xbf" + raw)[0].raw == raw
    one.finish()


def test_files_are_taken_some_at_a_time() -> None:
    one, rows = judge(), [json.dumps(definition(name=str(n))).encode() for n in range(7)]
    found = iter([File(f"package/{n}.json", raw) for n, raw in enumerate(rows)])
    sizes = []
    while (batch := one.take(found, 2 * len(rows[0]))) is not None:
        sizes.append(len(batch))
    assert (sizes, one.counts) == ([2, 2, 2, 1], {"StructureDefinition": 7})


@pytest.mark.parametrize(
    ("resource", "code", "expression"),
    [
        (b"", "structure", ""),
        (b"{", "structure", ""),
        (b"[" * 9000, "structure", ""),
        (b'{"a":1,"a":2}', "structure", ""),
        (b'{"resourceType":"ValueSet","url":"\xff"}', "structure", ""),
        ({"resourceType": "ValueSet", "url": None}, "value", "ValueSet.url"),
        ({"resourceType": "ValueSet", "url": ""}, "value", "ValueSet.url"),
        ({"resourceType": "ValueSet", "url": "x" * 2001}, "value", "ValueSet.url"),
        ({"resourceType": "ValueSet", "url": "a\nb"}, "value", "ValueSet.url"),
        ({"resourceType": "ValueSet", "url": "x", "version": 1}, "value", "ValueSet"),
        ({"resourceType": "ValueSet", "url": "x", "id": {}}, "value", "ValueSet"),
    ],
)
def test_what_is_wrong_names_the_file(resource: Any, code: str, expression: str) -> None:
    one = judge()
    assert take(one, definition(), resource) and len(one.issues) == 1  # noqa: PT018
    with pytest.raises(Unprocessable) as caught:
        one.finish()
    (issue,) = caught.value.issues
    assert (issue.code, issue.expression, issue.location) == (code, expression, "a.b#1.0.0/package/1.json")


def test_issues_have_an_end() -> None:
    one = judge()
    take(one, *[b"{"] * (MAX_ISSUES + 9))
    assert len(one.issues) == MAX_ISSUES


@pytest.mark.parametrize(
    ("versions", "resource", "is_refused"),
    [
        (("5.0.0",), definition("StructureDefinition"), True),
        (("5.0.0",), definition("ValueSet"), False),
        (("5.0.0", "4.0.1"), definition("StructureDefinition"), False),
        ((), definition("StructureDefinition"), False),
        ((), definition("StructureDefinition", fhirVersion="4.0.0"), False),
        ((), definition("StructureDefinition", fhirVersion="5.0.0"), True),
        ((), definition("CapabilityStatement", fhirVersion=["3.0.2"]), True),
    ],
)
def test_other_versions_of_fhir_are_refused_where_it_matters(
    versions: tuple[str, ...], resource: dict[str, Any], is_refused: bool
) -> None:
    one = Judge(Manifest("a.b", "1.0.0", fhir_versions=versions), TYPES)
    assert take(one, resource)[0].url.startswith(CANONICAL)
    if not is_refused:
        return one.finish()
    with pytest.raises(NotSupported, match=r"this server for 4\.0") as caught:
        one.finish()
    assert caught.value.issues[0].location == "a.b#1.0.0/package/0.json"
    return None


def test_an_archive_that_breaks_off_names_the_package() -> None:
    def broken() -> Iterator[File]:
        yield File("package/0.json", b"{}")
        raise Malformed("It breaks off.")

    with pytest.raises(Malformed, match="breaks off") as caught:
        judge().take(broken(), 100)
    assert caught.value.issues[0].location == "a.b#1.0.0"
