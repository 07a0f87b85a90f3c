"""FHIR XML read as the value of its JSON. https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.fhir.json import encode as to_json
from fhir_server.fhir.xml import XmlError, decode

Json = dict[str, Any]
XMLNS = 'xmlns="http://hl7.org/fhir"'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def read(inner: str, kind: str = "Patient") -> Json:
    """Return what a resource with these elements is, without its type."""
    value = decode(f"<{kind} {XMLNS}>{inner}</{kind}>".encode())
    assert value.pop("resourceType") == kind
    return value


def refused(inner: str, kind: str = "Patient") -> tuple[str, str]:
    """Return why a resource with these elements is refused, and where."""
    with pytest.raises(XmlError) as caught:
        read(inner, kind)
    return str(caught.value).partition(" (line ")[0], caught.value.expression


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ('<id value="p"/><active value="true"/>', {"id": "p", "active": True}),
        ('<active value="yes"/>', {"active": "yes"}),
        ('<name id="n"><given value="a"/><given value="b"/></name>', {"name": [{"id": "n", "given": ["a", "b"]}]}),
        ('<multipleBirthInteger value="2"/>', {"multipleBirthInteger": 2}),
        ('<multipleBirthInteger value="02"/>', {"multipleBirthInteger": "02"}),
        ('<multipleBirthInteger value="9223372036854775808"/>', {"multipleBirthInteger": "9223372036854775808"}),
        ('<birthDate id="d" value="1970-03-30"/>', {"birthDate": "1970-03-30", "_birthDate": {"id": "d"}}),
        (
            '<extension url="http://x.example/a"><valueString value=" a&#10;b&amp;&#9;ä "/></extension>',
            {"extension": [{"url": "http://x.example/a", "valueString": " a\nb&\tä "}]},
        ),
        (
            '<contained><Organization><name value="o"/></Organization></contained><active value="false"/>',
            {"contained": [{"resourceType": "Organization", "name": "o"}], "active": False},
        ),
        ("<!-- before -->\n <active value='true'><!-- in --></active>\n", {"active": True}),
    ],
)
def test_elements_become_members(inner: str, value: Json) -> None:
    assert read(inner) == value


def test_ids_and_extensions_stand_beside_the_values_they_belong_to() -> None:
    noted = '<extension url="u"><valueCode value="x"/></extension>'
    extension = {"extension": [{"url": "u", "valueCode": "x"}]}
    given = f'<given value="a"/><given value="b">{noted}</given><given>{noted}</given><given value="d"/>'
    assert read(f"<name>{given}</name>") == {
        "name": [{"given": ["a", "b", None, "d"], "_given": [None, extension, extension, None]}]
    }
    assert read(f"<name><given>{noted}</given></name>") == {"name": [{"_given": [extension]}]}
    assert read(f"<birthDate>{noted}</birthDate>") == {"_birthDate": extension}


@pytest.mark.parametrize("text", ["1.00", "0.00000001", "1E-8", "1e2", "-0.0", "10", "100000000000000000000.5"])
def test_decimals_keep_their_digits(text: str) -> None:
    value = read(f'<valueQuantity><value value="{text}"/></valueQuantity>', "Observation")
    assert to_json(value) == f'{{"valueQuantity":{{"value":{text}}}}}'.encode()
    assert value["valueQuantity"]["value"] == Decimal(text)


@pytest.mark.parametrize("text", ["1.", ".5", "+1", "01", "1,5", " 1", "NaN", "0x1", "٣"])
def test_what_is_no_decimal_stays_text(text: str) -> None:
    value = read(f'<valueQuantity><value value="{text}"/></valueQuantity>', "Observation")
    assert value == {"valueQuantity": {"value": text}}


@pytest.mark.parametrize("text", ["1" * 5000, "1e" + "1" * 500])
def test_numbers_that_json_does_not_take_are_refused(text: str) -> None:
    message, where = refused(f'<valueQuantity><value value="{text}"/></valueQuantity>', "Observation")
    assert message in ("Integer value out of range", "a number of 502 digits cannot be read")
    assert where == "Observation.value.value"


@pytest.mark.parametrize(
    ("div", "text"),
    [
        (f'{DIV}<p title="a&gt;b">x &amp; y<br/>\r\n&#xE4;&#228;&lt;</p></div>', None),
        (f"{DIV}<!-- kept --><![CDATA[&#228;]]></div>", None),
        (f"{DIV}&#39;x&#39;</div>", f"{DIV}'x'</div>"),
        (f"{DIV}<p title='a'>&#39;</p></div>", None),
        ('<div xmlns="http://www.w3.org/1999/xhtml"/>', None),
        (
            '<h:div xmlns:h="http://www.w3.org/1999/xhtml" xml:lang="de" title="&lt;&quot;">'
            "a&lt;<h:br/><h:p></h:p></h:div>",
            '<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="de" title="&lt;&quot;">a&lt;<br/><p></p></div>',
        ),
    ],
)
def test_a_narrative_is_its_text(div: str, text: str | None) -> None:
    expected = text or div.replace("&#xE4;&#228;", "ää").replace("\r\n", "\n")
    assert read(f'<text><status value="generated"/>{div}</text><active value="true"/>') == {
        "text": {"status": "generated", "div": expected},
        "active": True,
    }


@pytest.mark.parametrize(
    ("inner", "message", "where"),
    [
        ("<bad/>", "the element 'bad' does not belong there", "Patient.bad"),
        ("<name/>", "the element is empty", "Patient.name[0]"),
        ("<name><given/></name>", "the element has neither a value nor an extension", "Patient.name[0].given[0]"),
        ('<active value="true" other="1"/>', "the attribute 'other' does not belong there", "Patient.active"),
        ('<name value="x"/>', "the attribute 'value' does not belong there", "Patient.name[0]"),
        ('<active value="true"/><active value="true"/>', "the element active may be there only once", "Patient.active"),
        (
            '<deceasedBoolean value="true"/><deceasedDateTime value="2020"/>',
            "the element deceasedDateTime may be there only once",
            "Patient.deceased",
        ),
        (
            '<gender value="male"/>\n<name><text value="x"/></name>',
            "the element name comes too late: the order of elements is that of the definition",
            "Patient.name",
        ),
        ("hello", "text stands between elements; values are attributes", "Patient"),
        ('<active value="true">x</active>', "text stands between elements; values are attributes", "Patient.active"),
        ('<active xmlns="" value="true"/>', "the element 'active' is in the wrong namespace", "Patient.active"),
        ("<contained/>", "the element is empty", "Patient.contained[0]"),
        (
            "<contained><HumanName/></contained>",
            "the element must be one resource of R4 in the namespace http://hl7.org/fhir, not 'HumanName'",
            "Patient.contained[0]",
        ),
        (
            '<contained><Group><active value="true"/></Group><Group/></contained>',
            "the element Group may be there only once",
            "Patient.contained[0].Group",
        ),
        (
            '<contained><Group><type value="person"/><quantity value="1"/><quantity value="1"/></Group></contained>',
            "the element quantity may be there only once",
            "Patient.contained[0].quantity",
        ),
        ("<?php x?>", "a processing instruction is not accepted", "Patient"),
        (f"<text>{DIV}<x xmlns='urn:x'/>", "the narrative has an element that is not of XHTML", "Patient.text"),
        (f"<text>{DIV}{'<b>' * 64}", "the narrative is nested deeper than 64 levels", "Patient.text"),
    ],
)  # fmt: skip
def test_what_does_not_belong_is_refused_with_its_place(inner: str, message: str, where: str) -> None:
    assert refused(inner) == (message, where)


def test_a_narrative_takes_the_prefixes_of_others_with_it() -> None:
    div = f"{DIV}<h:p>x</h:p></div>"
    raw = f'<Patient {XMLNS} xmlns:h="http://www.w3.org/1999/xhtml"><text>{div}</text></Patient>'.encode()
    assert decode(raw)["text"] == {"div": f"{DIV}<p>x</p></div>"}


def test_the_line_is_told() -> None:
    with pytest.raises(XmlError, match=r"^the element 'bad' does not belong there \(line 3\)$"):
        read("\n\n<bad/>")


def nested(levels: int) -> str:
    """Return extensions inside each other: each is two levels of JSON, the innermost value is none."""
    return '<extension url="u">' * levels + '<valueCode value="x"/>' + "</extension>" * levels


def test_nesting_ends_where_that_of_json_ends() -> None:
    assert "extension" in read(nested(31))
    message, where = refused(nested(32))
    assert message == "nested deeper than 64 levels"
    assert where.startswith("Patient.extension[0].extension[0]")
    with pytest.raises(XmlError, match="nested deeper"):
        decode(f"<Patient {XMLNS}>".encode() + b'<extension url="u">' * 100_000)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no element found"),
        (b"hello", "syntax error"),
        (b"<Patient/>", "must be one resource of R4 in the namespace"),
        (b'<Patient xmlns="http://hl7.org/fhir/"/>', "must be one resource of R4 in the namespace"),
        (b'<HumanName xmlns="http://hl7.org/fhir"/>', "must be one resource of R4 in the namespace"),
        (b'<DomainResource xmlns="http://hl7.org/fhir"/>', "must be one resource of R4 in the namespace"),
        (b'<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient><Patient/>', "junk after document"),
        (b'<Patient xmlns="http://hl7.org/fhir"><active value="true"></Patient>', "mismatched tag"),
        (b'<Patient xmlns="http://hl7.org/fhir"><active value="true" value="true"/></Patient>', "duplicate attribute"),
        (b'<Patient xmlns="http://hl7.org/fhir"><id value="\xff"/></Patient>', "not well-formed"),
        (b'<Patient xmlns="http://hl7.org/fhir"><id value="&#0;"/></Patient>', "invalid character number"),
        (b'<Patient xmlns="http://hl7.org/fhir"><id value="&nbsp;"/></Patient>', "undefined entity"),
        (b'<?xml version="1.0" encoding="latin1"?><Patient xmlns="http://hl7.org/fhir"/>', "must be UTF-8"),
        ('<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"), "must be UTF-8"),
    ],
)
def test_what_is_no_resource_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(XmlError, match=message):
        decode(raw)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE Patient SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE Patient [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE Patient [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
        '<!DOCTYPE Patient [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
        f'<!DOCTYPE Patient [<!ENTITY a "{"a" * 100_000}">]>',
        '<!DOCTYPE Patient [<!ATTLIST active value CDATA "true">]>',
        "<!DOCTYPE Patient>",
    ],
)
def test_document_types_and_their_entities_are_refused(declared: str) -> None:
    raw = f'<?xml version="1.0"?>{declared}<Patient {XMLNS}><id value="&a;"/></Patient>'.encode()
    with pytest.raises(XmlError, match="a document type"):
        decode(raw)


def test_a_byte_order_mark_and_the_place_of_a_schema_are_passed_over() -> None:
    instance = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd"'
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Patient {XMLNS} {instance}>\n<active value="true"/></Patient>\n'
    assert decode(b"\xef\xbb\xbf" + text.encode()) == {"resourceType": "Patient", "active": True}
    assert refused(f'<name {instance}><text value="x"/></name>')[1] == "Patient.name[0]"


@pytest.mark.parametrize("before", [0, (1 << 20) - 300, 1 << 20, 3 << 20])
def test_long_documents_keep_their_narratives(before: int) -> None:
    div = f"{DIV}{'<p>ä</p>' * 200_000}</div>"
    resource = read(f"<!--{'x' * before}--><text><status value='generated'/>{div}</text>", "Basic")
    assert resource == {"text": {"status": "generated", "div": div}}


def test_a_value_of_many_megabytes_is_read() -> None:
    data = "QUJD" * 3_000_000
    assert read(f'<contentType value="a/b"/><data value="{data}"/>', "Binary")["data"] == data


def test_prefixes_are_as_good_as_a_default_namespace() -> None:
    raw = b'<f:Patient xmlns:f="http://hl7.org/fhir"><f:active value="true"/></f:Patient>'
    assert decode(raw) == {"resourceType": "Patient", "active": True}
