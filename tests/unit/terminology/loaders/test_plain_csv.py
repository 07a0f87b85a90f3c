"""Tables: columns by role, kinds of values, and rows that are wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server.api import InvalidRequest, Unprocessable
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders.releases import by_code, load

SYSTEM = "http://example.org/colours"
PLAIN = """code,display,definition,parent,status,property.rank:integer,property.warm:boolean,designation.de,notes
red,Red,Like blood,,active,1,true,Rot,x
rose,Rose,"Pale, ""soft"" pink",red|pink,retired,,,,x
pink,Pink,,red,,3,FALSE,,x
"""


def test_columns_that_are_called_by_their_role() -> None:
    head, found, _ = load("csv", PLAIN.encode(), "colours.csv", Asked(SYSTEM, "1"))
    assert (head["url"], head["version"], head["name"]) == (SYSTEM, "1", "ExampleOrgColours")
    assert head["property"] == [{"code": "rank", "type": "integer"}, {"code": "warm", "type": "boolean"}]
    red, rose, pink = found
    assert (red.code, red.display, red.definition, red.parents) == ("red", "Red", "Like blood", ())
    assert red.properties == ({"code": "rank", "valueInteger": 1}, {"code": "warm", "valueBoolean": True})
    assert red.designations == ({"language": "de", "value": "Rot"},)
    assert (rose.definition, rose.parents, rose.inactive) == ('Pale, "soft" pink', ("red", "pink"), True)
    assert (pink.inactive, pink.properties[1]["valueBoolean"]) == (False, False)


@pytest.mark.parametrize(
    ("mark", "encoding"), [(b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")]
)
def test_columns_are_mapped_and_byte_order_marks_read(mark: bytes, encoding: str) -> None:
    text = "Kürzel;Name;Über;Wert\nrot;Rot;;1.50\nrosa;Rosa;rot;\n"
    mapped = ("code=Kürzel", "display=Name", "parent=Über", "property.wert:decimal=Wert")
    _, found, _ = load("csv", mark + text.encode(encoding), "farben.csv", Asked(SYSTEM, "1", columns=mapped))
    assert [(one.code, one.display, one.parents) for one in found] == [("rot", "Rot", ()), ("rosa", "Rosa", ("rot",))]
    assert found[0].properties == ({"code": "wert", "valueDecimal": Decimal("1.50")},)


def test_another_encoding_is_said() -> None:
    content = "code,display\nrot,Röte\n".encode("windows-1252")
    with pytest.raises(Unprocessable, match=r"farben\.csv, line 2: byte 6 is no utf-8\. If the file"):
        load("csv", content, "farben.csv", Asked(SYSTEM, "1"))
    _, found, _ = load("csv", content, "farben.csv", Asked(SYSTEM, "1", encoding="windows-1252"))
    assert found[0].display == "Röte"
    with pytest.raises(InvalidRequest, match="no encoding 'klingon'"):
        load("csv", content, "farben.csv", Asked(SYSTEM, "1", encoding="klingon"))


@pytest.mark.parametrize(
    ("content", "columns", "text"),
    [
        ("name\nx\n", (), "line 1: no column is the code"),
        ("code\nx\n", ("display=Name",), "line 1: the header has no column 'Name'"),
        ("code,code\nx,y\n", (), "line 1: several columns are code"),
        ("code,display\nx\n", (), "line 2: 1 columns, where the header has 2"),
        ("code,display\n,X\n", (), "line 2: there is no code in this row"),
        ("code,display\n\"a\tb\",X\n", (), r"line 2: 'a\\tb' is no code"),
        ("code,property.n:integer\nx,ten\n", (), "line 2: 'ten' is no integer, which property n has"),
        ("code,property.n:decimal\nx,NaN\n", (), "line 2: 'NaN' is no decimal"),
        ("code,property.n:decimal\nx,1e200\n", (), "line 2: a decimal of 'x' is too large"),
        ("code,property.n:integer\nx,99999999999\n", (), "line 2: '99999999999' is no integer"),
        ("code\n" + "x" * 501, (), "line 2: the code 'x+'... has more than 500 characters"),
        ("code,display\nx," + "x" * 800_000, (), "the table cannot be read on from here"),
        ("code,property.n:dateTime\nx,1.2.2020\n", (), r"line 2: '1\.2\.2020' is no dateTime"),
        ("code,property.n:boolean\nx,ja\n", (), "line 2: 'ja' is no boolean"),
        ("code,display\nx,\"X\n", (), "line 2: the table cannot be read on from here"),
        ("code,parent\na,b\nb,c\nc,a\n", (), r"line 2: the parents go round in a circle: a -> b -> c -> a"),
        ("code,parent\na,a\n", (), "line 2: the parents go round in a circle: a -> a"),
        ("code,parent\na,z\n", (), "line 2: the parent 'z' of 'a' is not in the release"),
        ("code\na\nb\na\n", (), r"line 4: the code 'a' stands here a second time; first: t\.csv, line 2"),
        ("", (), "is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line(content: str, columns: tuple[str, ...], text: str) -> None:
    with pytest.raises(Unprocessable, match=text):
        load("csv", content.encode(), "t.csv", Asked(SYSTEM, "1", columns=columns))


def test_every_wrong_row_is_named_and_twenty_at_most() -> None:
    rows = "code,property.n:integer\n" + "".join(f"c{n},{'x' if n % 2 else n}\n" for n in range(10))
    with pytest.raises(Unprocessable) as refused:
        load("csv", rows.encode(), "t.csv", Asked(SYSTEM, "1"))
    assert [issue.location for issue in refused.value.issues] == [f"t.csv, line {n}" for n in (3, 5, 7, 9, 11)]
    many = "code,display\n" + "x\n" * 100
    with pytest.raises(Unprocessable) as refused:
        load("csv", many.encode(), "t.csv", Asked(SYSTEM, "1"))
    assert len(refused.value.issues) == 20


def test_a_lenient_load_leaves_wrong_rows_out() -> None:
    rows = "code,display,parent\na,A,\nb\na,Again,\nc,C,nowhere\n"
    _, found, findings = load("csv", rows.encode(), "t.csv", Asked(SYSTEM, "1"), lenient=True)
    assert sorted(by_code(found)) == ["a", "c"]
    assert findings.count == 3
    with pytest.raises(Unprocessable):
        load("csv", ("code,display\n" + "x\n" * 10_001).encode(), "t.csv", Asked(SYSTEM, "1"), lenient=True)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked(), "give the parameter system"),
        (Asked(SYSTEM, columns=("code",)), "role=header"),
        (Asked(SYSTEM, columns=("colour=code",)), "'colour' is no role"),
        (Asked(SYSTEM, delimiter="||"), "one character"),
    ],
)
def test_what_is_asked_wrongly(asked: Asked, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        load("csv", b"code\nx\n", "t.csv", asked)
