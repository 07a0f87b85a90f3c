"""Resources written as FHIR XML. https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.json import decode as from_json
from fhir_server.fhir.xml import XmlError, decode, encode

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def written(resource: str) -> str:
    """Return the elements of a resource given as JSON without its braces."""
    text = encode(from_json(f'{{"resourceType":"Patient",{resource}}}'.encode())).decode()
    begin, end = f'{HEAD}<Patient xmlns="http://hl7.org/fhir">', "</Patient>"
    assert text.startswith(begin)
    assert text.endswith(end)
    return text[len(begin) : -len(end)]


@pytest.mark.parametrize(
    ("members", "elements"),
    [
        ('"active":true,"id":"p"', '<id value="p"/><active value="true"/>'),
        ('"name":[{"id":"n","given":["a","b"]}]', '<name id="n"><given value="a"/><given value="b"/></name>'),
        (
            '"extension":[{"url":"u","valueDecimal":1.00},{"url":"v","valueDecimal":0.00000001},{"url":"w","valueDecimal":1e2}]',
            '<extension url="u"><valueDecimal value="1.00"/></extension>'
            '<extension url="v"><valueDecimal value="0.00000001"/></extension>'
            '<extension url="w"><valueDecimal value="1e2"/></extension>',
        ),
        ('"gender":"a<b>&\\"c\\"\\n\\t\\r \'"', '<gender value="a&lt;b&gt;&amp;&quot;c&quot;&#10;&#9;&#13; \'"/>'),
        ('"gender":"a\\u0001b"', '<gender value="a\ufffdb"/>'),
        (
            '"contained":[{"resourceType":"Group","quantity":1}]',
            '<contained><Group><quantity value="1"/></Group></contained>',
        ),
        ('"_birthDate":{"id":"d"}', '<birthDate id="d"/>'),
        (
            '"birthDate":"1970","_birthDate":{"extension":[{"url":"u","valueCode":"x"}]}',
            '<birthDate value="1970"><extension url="u"><valueCode value="x"/></extension></birthDate>',
        ),
        (
            '"name":[{"given":["a",null,"c"],"_given":[null,{"id":"b"}]}]',
            '<name><given value="a"/><given id="b"/><given value="c"/></name>',
        ),
    ],
)  # fmt: skip
def test_members_become_elements(members: str, elements: str) -> None:
    assert written(members) == elements


@pytest.mark.parametrize(
    ("div", "element"),
    [
        (f"{DIV}<p>ä &amp; b</p></div>", None),
        (f"{DIV}a&nbsp;b&copy;&lt;</div>", f"{DIV}a\u00a0b©&lt;</div>"),
        ("<div>x</div>", f"{DIV}&lt;div&gt;x&lt;/div&gt;</div>"),
        (f"{DIV}</div></text><active value='true'/>", f"{DIV}&lt;div xmlns=&quot;http://www.w3.org/1999/xhtml&quot;&gt;"
         "&lt;/div&gt;&lt;/text&gt;&lt;active value='true'/&gt;</div>"),
        ("<!DOCTYPE x>" + DIV + "</div>", f"{DIV}&lt;!DOCTYPE x&gt;&lt;div xmlns=&quot;http://www.w3.org/1999/xhtml&quot;"
         "&gt;&lt;/div&gt;</div>"),
    ],
)  # fmt: skip
def test_a_narrative_is_put_in_as_it_is_or_shown_as_text(div: str, element: str | None) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    raw = encode(resource)
    assert (element or div) in raw.decode()
    assert decode(raw)["text"]["status"] == "generated"


def test_pretty_is_an_element_on_each_line() -> None:
    div = DIV + "<p>a</p>\n b</div>"
    name = {"given": ["a", "b"], "_given": [{"id": "x"}, {"extension": [{"url": "u", "valueCode": "c"}]}]}
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}, "name": [name]}
    assert encode(resource, pretty=True).decode().splitlines() == [
        HEAD,
        '<Patient xmlns="http://hl7.org/fhir">',
        "  <text>",
        '    <status value="generated"/>',
        f"    {DIV}<p>a</p>",
        " b</div>",
        "  </text>",
        "  <name>",
        '    <given id="x" value="a"/>',
        '    <given value="b">',
        '      <extension url="u">',
        '        <valueCode value="c"/>',
        "      </extension>",
        "    </given>",
        "  </name>",
        "</Patient>",
    ]
    assert decode(encode(resource, pretty=True)) == decode(encode(resource)) == resource


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({"resourceType": "Patient", "foo": 1}, "Patient has no element 'foo'"),
        ({"resourceType": "Patient", "name": [{"_id": {}}]}, "HumanName has no element '_id'"),
        ({"resourceType": "Patient", "_name": {}}, "Patient has no element '_name'"),
        ({"resourceType": "Patient", "_active": {"value": "x"}}, "boolean has no element 'value'"),
        ({"resourceType": "HumanName"}, "no resourceType of R4"),
        ({}, "no resourceType of R4"),
        ({"resourceType": "Patient", "active": {}}, "the element active holds no value"),
        ({"resourceType": "Patient", "name": ["x"]}, "the element name holds no element"),
        ({"resourceType": "Patient", "name": [{"id": 1}]}, "the element id holds no text"),
        ({"resourceType": "Patient", "_active": "x"}, "the member _active holds no element"),
    ],
)
def test_what_has_no_place_in_xml_is_refused(resource: dict[str, Any], message: str) -> None:
    with pytest.raises(XmlError, match=message):
        encode(resource)
