"""ICD-10-CM: an order file and a tabular list of our own."""

from __future__ import annotations

import pytest

from fhir_server.api import Unprocessable
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders.releases import by_code, load, values, zipped

ROWS = [("S00", "0", "Superficial shimmer"), ("S000", "0", "Shimmer of scalp"), ("S000XXA", "1", "Shimmer, initial"),
        ("S000XXD", "1", "Shimmer, subsequent"), ("S01", "1", "Gleam")]  # fmt: skip
ORDER = "".join(
    f"{number:05} {code:<7} {flag} {text[:60]:<60} {text} in full\r\n"
    for number, (code, flag, text) in enumerate(ROWS, 1)
)
TABULAR = """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular>
  <version>2031</version>
  <introduction><introSection type="title"><title>Notes</title></introSection></introduction>
  <chapter>
    <name>19</name>
    <desc>Shimmers and gleams (S00-S99)</desc>
    <includes><note>all that shines</note></includes>
    <sectionIndex><sectionRef first="S00" last="S00" id="S00">Shimmers of the head</sectionRef></sectionIndex>
    <section id="S00">
      <desc>Shimmers of the head (S00)</desc>
      <diag>
        <name>S00</name>
        <desc>Superficial shimmer</desc>
        <excludes1><note>gleam (S01)</note></excludes1>
        <sevenChrDef><extension char="A">initial encounter</extension></sevenChrDef>
        <diag>
          <name>S00.0</name>
          <desc>Shimmer of
            scalp</desc>
          <inclusionTerm><note>Halo</note></inclusionTerm>
        </diag>
      </diag>
    </section>
    <section id="S01-S09">
      <desc>Gleams (S01-S09)</desc>
      <diag><name>S01</name><desc>Gleam</desc></diag>
    </section>
  </chapter>
</ICD10CM.tabular>
"""
BOTH: dict[str, str | bytes] = {
    "Table and Index/icd10cm_tabular_2031.xml": TABULAR,
    "icd10cm_order_2031.txt": ORDER,
    "icd10cm_order_addenda_2031.txt": "not read",
}


def test_order_file_and_tabular_list_together() -> None:
    head, found, _ = load("icd-10-cm", zipped(BOTH), "2031.zip")
    assert (head["url"], head["version"]) == ("http://hl7.org/fhir/sid/icd-10-cm", "2031")
    concepts = by_code(found)
    assert [one.code for one in found] == [
        "S00-S99", "S00-S00", "S01-S09", "S00", "S00.0", "S00.0XXA", "S00.0XXD", "S01",
    ]  # fmt: skip
    assert {code: one.parents for code, one in concepts.items()} == {
        "S00-S99": (), "S00-S00": ("S00-S99",), "S01-S09": ("S00-S99",), "S00": ("S00-S00",), "S00.0": ("S00",),
        "S00.0XXA": ("S00.0",), "S00.0XXD": ("S00.0",), "S01": ("S01-S09",),
    }  # fmt: skip
    assert concepts["S00.0XXA"].display == "Shimmer, initial in full"
    assert [values(concepts[code], "billable") for code in ("S00", "S00.0XXA", "S00-S99")] == [[False], [True], []]
    assert [concepts[code].abstract for code in ("S00-S99", "S00-S00", "S00")] == [True, True, False]
    assert values(concepts["S00"], "excludes1") == ["gleam (S01)"]
    assert [row["value"] for row in concepts["S00.0"].designations] == ["Halo"]
    assert values(concepts["S00-S99"], "kind") == ["chapter"]


def test_the_order_file_alone() -> None:
    head, found, _ = load("icd-10-cm", ORDER.encode(), "icd10cm_order_2031.txt")
    assert (head["version"], [one.code for one in found]) == ("2031", ["S00", "S00.0", "S00.0XXA", "S00.0XXD", "S01"])
    assert by_code(found)["S00"].parents == ()


def test_the_tabular_list_alone_bills_what_needs_no_seventh_character() -> None:
    _, found, _ = load("icd-10-cm", TABULAR.encode(), "tabular.xml")
    concepts = by_code(found)
    assert concepts["S00.0"].display == "Shimmer of scalp"
    assert [values(concepts[code], "billable") for code in ("S00", "S00.0", "S01")] == [[False], [False], [True]]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (TABULAR[:500], r"tabular\.xml, line \d+: this is no XML"),
        ("<html><body/></html>", r"tabular\.xml, line 1: the XML begins with html"),
        ("<ICD10CM.tabular/>", r"tabular\.xml: this XML has no chapters"),
        (TABULAR.replace("(S00-S99)", ""), r"tabular\.xml, line 7: a chapter does not end with its range"),
        (
            TABULAR.replace("<name>S01<", "<name>S00<"),
            r"tabular\.xml, line \d+: the code S00 stands here a second time",
        ),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]><ICD10CM.tabular>&a;</ICD10CM.tabular>',
            "line 1: a document type is not allowed",
        ),
        ('<ICD10CM.tabular><a b="' + "x" * 5_000_000 + '"/></ICD10CM.tabular>', "one of its tags, is too large"),
        ("<ICD10CM.tabular>" + "<a>" * 50, "nested deeper than 40"),
    ],
)
def test_other_xml_is_refused_where_it_is_wrong(content: str, text: str) -> None:
    with pytest.raises(Unprocessable, match=text):
        load("icd-10-cm", content.encode(), "tabular.xml", Asked(version="2031"))


def test_a_line_that_is_none_of_an_order_file_is_named() -> None:
    wrong = ORDER + "00006 s01     1 lower case\r\n"
    with pytest.raises(Unprocessable, match=r"icd10cm_order_2031\.txt, line 6: this is no line of an order file"):
        load("icd-10-cm", wrong.encode(), "icd10cm_order_2031.txt")
    _, found, findings = load("icd-10-cm", wrong.encode(), "icd10cm_order_2031.txt", lenient=True)
    assert (len(found), findings.count) == (5, 1)
