"""Sizes, systems, security labels and paragraphs: what no invariant asks for. https://hl7.org/fhir/R4/datatypes.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation.prose import attachment, identifier, meta, narrative

HELLO = "SGVsbG8gV29ybGQ="  # 11 bytes
LABEL = {"system": "urn:a", "code": "x"}


def told(found: Any) -> list[tuple[str, str, str]]:
    """Return severity, code and path of findings."""
    return [(row.severity, row.code, row.path) for row in found or ()]


@pytest.mark.parametrize(
    "value",
    [
        {"data": HELLO, "size": 11}, {"data": "SGVsb G8g\nV29y bGQ=", "size": 11}, {"data": "AAAA", "size": 3},
        {"data": "AAA=", "size": 2}, {"data": "AA==", "size": 1}, {"data": HELLO}, {"size": 11},
        {"url": "http://example.org/a", "size": 7}, {"data": 7, "size": 11}, {"data": HELLO, "size": "11"},
    ],
)  # fmt: skip
def test_a_size_that_is_right_or_cannot_be_told(value: dict[str, Any]) -> None:
    assert attachment(value) is None


@pytest.mark.parametrize("size", [0, 10, 12, 16])
def test_a_size_that_is_not_that_of_the_data(size: int) -> None:
    found = attachment({"data": HELLO, "size": size})
    assert told(found) == [("error", "structure", ".size")]
    assert found
    assert found[0].text == f"The size says {size}; the data has 11 bytes."


@pytest.mark.parametrize(
    "value",
    [
        {"system": "http://example.org/mrn", "value": "1"}, {"system": "urn:oid:1.2.3", "value": "1"}, {"value": "1"},
        {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}, {"system": "urn:ietf:rfc:3986"}, {"system": 7},
    ],
)  # fmt: skip
def test_identifiers_with_an_absolute_system(value: dict[str, Any]) -> None:
    assert identifier(value) is None


def test_identifiers_whose_system_is_relative_or_whose_value_is_no_uri() -> None:
    for system in ("mrn", "1.2.840.113883", "/mrn", "example.org/mrn"):
        assert told(identifier({"system": system, "value": "1"})) == [("error", "code-invalid", ".system")]
    bare = {"system": "urn:ietf:rfc:3986", "value": "1.2.3"}
    assert told(identifier(bare)) == [("error", "code-invalid", ".value")]


def test_security_labels_are_a_set() -> None:
    assert meta({}) is None
    assert meta({"security": [LABEL]}) is None
    others = [LABEL, {**LABEL, "code": "y"}, {**LABEL, "system": "urn:b"}, {"code": "x"}, {"code": "x"}, 7, 7]
    assert meta({"security": others}) is None
    twice = meta({"security": [LABEL, {**LABEL, "display": "X"}, LABEL]})
    assert told(twice) == [("error", "business-rule", ".security[1]"), ("error", "business-rule", ".security[2]")]


@pytest.mark.parametrize(
    "inner",
    [
        "<p>a</p><p>b</p>", "<p/><p>a</p>", "<p>a<br/>b</p><ul><li><p>c</p></li></ul>", "<div><p>a</p></div>",
        "<p class='x'>a <b>b</b></p><table><tr><td><p>a</p></td></tr></table>", "<pre>a</pre><div>b</div>",
        "<p>a<pre/></p>",
    ],
)  # fmt: skip
def test_paragraphs_beside_each_other(inner: str) -> None:
    assert narrative({"div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}) is None


@pytest.mark.parametrize(
    "inner", ["<p>a<p>b</p></p>", "<p><b><ul><li>a</li></ul></b></p>", "<p>a<table/></p>", "<p\n><div>a</div></p>"]
)
def test_blocks_in_a_paragraph(inner: str) -> None:
    found = narrative({"div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'})
    assert told(found) == [("error", "invalid", ".div")]


@pytest.mark.parametrize("text", [None, 7, "<p", "<p>" * 100_000, "<p " * 100_000, "<p>" + "<div " * 100_000])
def test_narratives_that_are_malformed_are_looked_at_in_no_time(text: Any) -> None:
    narrative({"div": text})
