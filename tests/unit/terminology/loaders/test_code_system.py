"""CodeSystem resources from JSON: alone, in Bundles, as NDJSON, pretty or not, in pieces of any size."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api import Unprocessable
from terminology.codesystem import CodeSystem
from terminology.loaders import json_concepts
from terminology.loaders.json_concepts import Reading
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders.releases import by_code, load, values, zipped

Json = dict[str, Any]
URL = "http://example.org/animals"
HEAD: Json = {
    "resourceType": "CodeSystem", "url": URL, "version": "3", "status": "active", "content": "complete",
    "property": [{"code": "legs", "type": "integer"}, {"code": "sub", "type": "code",
                 "uri": "http://hl7.org/fhir/concept-properties#child"}],
}  # fmt: skip
CONCEPTS: list[Json] = [
    {"code": "animal", "display": "Animal \\ \"all\" }{][", "concept": [
        {"code": "cat", "property": [{"code": "legs", "valueInteger": 4}], "concept": [{"code": "tiger"}]},
        {"code": "concept", "definition": "\"concept\": [", "designation": [{"language": "de", "value": "Begriff"}]},
    ]},
    {"code": "hen", "property": [{"code": "parent", "valueCode": "animal"}, {"code": "sub", "valueCode": "chick"}]},
    {"code": "chick"},
]  # fmt: skip
WHOLE: Json = {**HEAD, "concept": CONCEPTS, "copyright": "ours"}


def check(content: str, name: str = "animals.json") -> None:
    head, found, _ = load("code-system", content.encode(), name)
    assert (head["url"], head["version"]) == (URL, "3")
    assert "concept" not in head
    concepts = by_code(found)
    assert {code: one.parents for code, one in concepts.items()} == {
        "tiger": ("cat",), "cat": ("animal",), "concept": ("animal",), "animal": (), "hen": ("animal",),
        "chick": ("hen",),
    }  # fmt: skip
    assert concepts["animal"].display == 'Animal \\ "all" }{]['
    assert values(concepts["cat"], "legs") == [4]
    assert concepts["hen"].properties == ()
    assert concepts["concept"].designations == ({"language": "de", "value": "Begriff"},)


@pytest.mark.parametrize("chunk", [1 << 18, 200, 7])
@pytest.mark.parametrize("indent", [None, 2])
def test_one_resource_however_it_is_cut_and_written(
    monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(json_concepts, "_CHUNK", chunk)
    check(json.dumps(WHOLE, indent=indent))
    check(json.dumps(WHOLE, indent=indent, sort_keys=True))
    check("\ufeff" + json.dumps({"concept": CONCEPTS, **HEAD}, indent=indent))


def test_a_bundle_and_ndjson_and_an_archive() -> None:
    other = {"resourceType": "ValueSet", "compose": {"include": [{"system": URL, "concept": [{"code": "cat"}]}]}}
    entries = [{"resource": other}, {"fullUrl": "urn:x", "resource": WHOLE, "search": {"mode": "match"}}]
    check(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, indent=1))
    parts = [{**HEAD, "concept": CONCEPTS[:1]}, other, {**HEAD, "concept": CONCEPTS[1:]}]
    check("".join(json.dumps(part) + "\n" for part in parts), "animals.ndjson")
    head, found, _ = load("code-system", zipped({"x/animals.json": json.dumps(WHOLE)}), "animals.zip")
    assert (head["copyright"], len(found)) == ("ours", 6)


def test_of_several_one_is_asked_for() -> None:
    several = "".join(json.dumps({**WHOLE, "url": url}) + "\n" for url in (URL, "http://example.org/plants"))
    with pytest.raises(Unprocessable, match=r"http://example\.org/animals, http://example\.org/plants: say which"):
        load("code-system", several.encode(), "several.ndjson")
    head, found, _ = load("code-system", several.encode(), "several.ndjson", Asked("http://example.org/plants", "9"))
    assert (head["url"], head["version"], len(found)) == ("http://example.org/plants", "9", 6)


def test_a_code_twice_and_a_concept_without_one_are_named_by_line() -> None:
    rows: list[Json] = [{"code": "a"}, {"display": "B"}, {"code": "a"}, {"code": "d", "display": 4}]
    content = '{"resourceType":"CodeSystem","url":"u","concept":[\n' + ",\n".join(map(json.dumps, rows)) + "]}"
    with pytest.raises(Unprocessable) as refused:
        load("code-system", content.encode(), "x.json")
    assert [issue.diagnostics for issue in refused.value.issues] == [
        "x.json, line 3: a concept without a code.",
        "x.json, line 4: the code 'a' stands here a second time; first: x.json, line 2.",
        "x.json, line 5: the display of 'd' is no text.",
    ]


START = '{"resourceType":"CodeSystem","url":"u"'
DEEP = '[{"code":"a","concept":' * 150 + "[]" + "}]" * 150


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "there is no JSON object in this file"),
        ("[]", "line 1: this is no JSON object"),
        ('{"resourceType":"Patient"}', "has no CodeSystem"),
        ('{"resourceType":"CodeSystem"}', "has no url"),
        (START + ',\n"concept":[{"code":"a"}', "line 2: the file ends before its JSON does"),
        (START + ',"concept":[{"code":"a",}]}', "line 1: the concept that begins here is no JSON"),
        (START + ',"concept":[{"code":"a","code":"b"}]}', "line 1: the concept that begins here is no JSON"),
        (START + ',"concept":[{"code":"a"}}]', "line 1: brackets do not match"),
        (
            START + ',"concept":[{"code":"a","display":"' + "x" * 800_000 + '"}]}',
            "line 1: the concept 'a' has more than 768",
        ),
        (
            START + ',"concept":[{"code":"a","property":[{"code":"b","valueDecimal":1e999999}]}]}',
            "line 1: a decimal of 'a'",
        ),
        (START + ',"text":{"div":"' + "x" * 10 + '"},"copyright":"' + "x" * 2_000_000 + '"}', "without its concepts"),
        (START + ',"concept":[{"code":"a","property":[{"code":"b"}]}]}', "line 1: a property of 'a'"),
        (START + ',"concept":[{"code":"a","property":[{"code":"b","valueInteger":true}]}]}', "a property of 'a'"),
        (START + ',"concept":[{"code":"a","property":"b"}]}', "the property of 'a' is no list"),
        (START + ',"concept":[{"code":"a","designation":[{"language":"de"}]}]}', "a designation of 'a'"),
        (START + "}}", "line 1: there is a bracket too many"),
        (START + ',"concept":[{"concept":[{"code":"b"}],"code":"a"}]}', "must have its code before"),
        (START + ',"content":"supplement"}', "supplement"),
        (START + ',"concept":' + DEEP + "}", "nested deeper than 100"),
        (START + ',"concept"' + " " * 50 + ': [{"code":"a"}]}', "blank space"),
    ],
)
def test_what_is_no_such_file_is_refused(content: str, text: str) -> None:
    with pytest.raises(Unprocessable, match=text):
        load("code-system", content.encode(), "x.json")


def test_memory_holds_no_more_than_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_concepts, "MAX_PIECE", 1_000_000)
    rows = ",".join(json.dumps({"code": f"c{number}", "display": "x" * 100}) for number in range(20_000))
    content = json.dumps(HEAD)[:-1] + ',"concept":[' + rows + "]}"
    assert len(content) > 2_000_000
    assert sum(1 for _ in Reading("x", io.BytesIO(content.encode()), frozenset({0})).pieces()) == 20_000
    with pytest.raises(Unprocessable, match="more than 1000000 bytes"):
        list(Reading("x", io.BytesIO(b'{"text":"' + b"x" * 2_000_000 + b'"}')).pieces())
    many = b"{" + b",".join(b'"k%d":"%s"' % (n, b"x" * 1000) for n in range(2_000)) + b"}"
    with pytest.raises(Unprocessable, match="this resource has more than 1000000 bytes of its own"):
        list(Reading("x", io.BytesIO(many)).pieces())


def test_the_code_systems_of_fhir_are_read_as_when_they_are_resources(shared_data: Path) -> None:
    read = 0
    with tarfile.open(shared_data / "ig" / "hl7.fhir.r4.core.tgz") as package:
        for member in package:
            if not member.name.startswith("package/CodeSystem-") or "example-supplement" in member.name:
                continue
            file = package.extractfile(member)
            assert file is not None
            raw = file.read()
            _, found, _ = load("code-system", raw, member.name)
            nodes = CodeSystem(json.loads(raw)).nodes
            known = {code: (node.display, set(node.parents)) for code, node in nodes.items()}
            assert {one.code: (one.display, set(one.parents)) for one in found} == known
            read += 1
    assert read == 1061
