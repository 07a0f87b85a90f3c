"""RxNorm: a full release of our own, in Rich Release Format."""

from __future__ import annotations

import pytest

from fhir_server.api import Unprocessable
from tests.unit.terminology.loaders.releases import by_code, load, piped, values, zipped


def atom(code: str, kind: str, name: str, source: str = "RXNORM", suppressed: str = "N") -> str:
    return f"{code}|ENG||||||9{code}|{code}|{code}||{source}|{kind}|{code}|{name}||{suppressed}|4096|"


def relation(first: str, kind: str, second: str, source: str = "RXNORM", type_: str = "CUI") -> str:
    return f"{first}||{type_}|RN|{second}||{type_}|{kind}|1||{source}|||||4096|"


def attribute(code: str, name: str, value: str, source: str = "RXNORM") -> str:
    return f"{code}|||9{code}|AUI|{code}|||{name}|{source}|{value}|N|4096|"


MEMBERS: dict[str, str | bytes] = {
    "rrf/RXNCONSO.RRF": piped(
        atom("901", "SY", "Glimmer acid"),
        atom("901", "IN", "glimmerate"),
        atom("901", "IN", "Glimmerate (other source)", "MTHSPL"),
        atom("902", "SCD", "glimmerate 5 MG Oral Tablet"),
        atom("902", "PSN", "Glimmerate 5 MG tablet"),
        atom("903", "IN", "dulloxin", suppressed="O"),
        atom("904", "IN", "only elsewhere", "DRUGBANK"),
    ),
    "rrf/RXNREL.RRF": piped(
        relation("901", "has_ingredient", "902"),
        relation("902", "ingredient_of", "901"),
        relation("902", "ingredient_of", "901"),
        relation("903", "form_of", "901", "MTHSPL"),
        relation("903", "form_of", "901", type_="AUI"),
    ),
    "rrf/RXNSAT.RRF": piped(
        attribute("902", "NDC", "00000000001"),
        attribute("902", "RXN_AVAILABLE_STRENGTH", "5 MG"),
        attribute("902", "NDC", "00000000002", "MTHSPL"),
        attribute("902", "ORIG_CODE", "x"),
    ),
    "rrf/RXNSTY.RRF": piped("901|T109|A1|Organic Chemical|AT1|256|"),
    "rrf/RXNSAB.RRF": piped(
        "|".join(["", "", "RXNORM_30AA_300131F", "RXNORM", "", "", "30AA_300131F", *[""] * 18]) + "|"
    ),
    "prescribe/rrf/RXNCONSO.RRF": "not read",
}


def test_concepts_are_what_rxnorm_names() -> None:
    head, found, _ = load("rxnorm", zipped(MEMBERS), "RxNorm_full_01312030.zip")
    assert (head["url"], head["version"]) == ("http://www.nlm.nih.gov/research/umls/rxnorm", "01312030")
    assert "hierarchyMeaning" not in head
    assert [one.code for one in found] == ["901", "902", "903"]
    concepts = by_code(found)
    assert concepts["901"].display == "glimmerate"
    assert [row["value"] for row in concepts["901"].designations] == ["Glimmer acid"]
    assert concepts["902"].display == "glimmerate 5 MG Oral Tablet"
    assert [concepts[code].inactive for code in ("901", "902", "903")] == [False, False, True]


def test_relations_and_attributes_are_properties() -> None:
    head, found, _ = load("rxnorm", zipped(MEMBERS), "RxNorm_full_01312030.zip")
    concepts = by_code(found)
    assert values(concepts["902"], "has_ingredient") == ["901"]
    assert values(concepts["901"], "ingredient_of") == ["902"]
    assert values(concepts["901"], "TTY") == ["IN", "SY"]
    assert values(concepts["901"], "SAB") == ["RXNORM", "MTHSPL"]
    assert values(concepts["901"], "STY") == ["T109"]
    assert values(concepts["902"], "NDC") == ["00000000001"]
    assert values(concepts["902"], "RXN_AVAILABLE_STRENGTH") == ["5 MG"]
    assert {row["code"] for row in head["property"]} == {
        "TTY", "SAB", "STY", "has_ingredient", "ingredient_of", "NDC", "RXN_AVAILABLE_STRENGTH",
    }  # fmt: skip
    assert [one.parents for one in found] == [(), (), ()]


def test_the_version_is_that_of_the_source_where_no_file_tells() -> None:
    head, _, _ = load("rxnorm", zipped(MEMBERS), "download.zip")
    assert head["version"] == "01312030"


def test_a_line_of_another_width_is_named() -> None:
    wrong = {**MEMBERS, "rrf/RXNSTY.RRF": piped("901|T109|", "901|T109|A1|Organic Chemical|AT1|256|")}
    with pytest.raises(Unprocessable) as refused:
        load("rxnorm", zipped(wrong), "x_01312030.zip")
    expected = "rrf/RXNSTY.RRF, line 1: 2 values with a pipe after each, where RRF has 6."
    assert [issue.diagnostics for issue in refused.value.issues] == [expected]
    _, found, findings = load("rxnorm", zipped(wrong), "x_01312030.zip", lenient=True)
    assert (len(found), findings.count) == (3, 1)
