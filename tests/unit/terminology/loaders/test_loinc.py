"""LOINC: terms, parts, answer lists and translations of a release of our own."""

from __future__ import annotations

import pytest

from fhir_server.api import Unprocessable
from terminology.loaders.release import Asked
from tests.unit.terminology.loaders.releases import ANSWER_HEADER, LOINC_HEADER, by_code, load, table, values, zipped

TERM = {
    "LOINC_NUM": "90001-1", "COMPONENT": "Sparkle", "PROPERTY": "MCnc", "TIME_ASPCT": "Pt", "SYSTEM": "Ser",
    "SCALE_TYP": "Qn", "CLASS": "CHEM", "STATUS": "ACTIVE", "CLASSTYPE": "1", "SHORTNAME": "Sparkle Ser-mCnc",
    "LONG_COMMON_NAME": "Sparkle [Mass/volume] in Serum", "DefinitionDescription": "How much it sparkles.",
    "CONSUMER_NAME": "Sparkle, Blood", "AskAtOrderEntry": "90002-9; 90003-7", "ORDER_OBS": "Both",
}  # fmt: skip
OLD = {"LOINC_NUM": "90002-9", "COMPONENT": "Dullness", "STATUS": "DEPRECATED", "LONG_COMMON_NAME": "Dullness, old"}
MOOD = {"LOINC_NUM": "90003-7", "COMPONENT": "Mood", "STATUS": "ACTIVE", "LONG_COMMON_NAME": "Mood of the day"}
PART = ["PartNumber", "PartTypeName", "PartName", "PartDisplayName", "Status"]
LINK = [
    "LoincNumber",
    "LongCommonName",
    "PartNumber",
    "PartName",
    "PartCodeSystem",
    "PartTypeName",
    "LinkTypeName",
    "Property",
]
HIERARCHY = ["PATH_TO_ROOT", "SEQUENCE", "IMMEDIATE_PARENT", "CODE", "CODE_TEXT"]
ANSWER_LINK = [
    "LoincNumber",
    "LongCommonName",
    "AnswerListId",
    "AnswerListName",
    "AnswerListLinkType",
    "ApplicableContext",
]
VARIANT = [
    "LOINC_NUM",
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "SHORTNAME",
    "LONG_COMMON_NAME",
    "RELATEDNAMES2",
    "LinguisticVariantDisplayName",
]
ACCESSORY = "Loinc_9.99/AccessoryFiles"


def link(part: str, name: str, code: str, term: str = "90001-1") -> dict[str, str]:
    row = {"LoincNumber": term, "PartNumber": part, "PartName": name, "LinkTypeName": "Primary"}
    return {**row, "Property": f"http://loinc.org/property/{code}"}


def answer(code: str, text: str, number: str, name: str = "Moods", list_: str = "LL9001-1") -> dict[str, str]:
    row = {"AnswerListId": list_, "AnswerListName": name, "AnswerStringId": code}
    return {**row, "DisplayText": text, "SequenceNumber": number}


MEMBERS: dict[str, str | bytes] = {
    "Loinc_9.99/LoincTable/Loinc.csv": table(LOINC_HEADER, TERM, OLD, MOOD),
    f"{ACCESSORY}/PartFile/Part.csv": table(
        PART,
        {"PartNumber": "LP90001-1", "PartTypeName": "COMPONENT", "PartName": "Sparkle", "PartDisplayName": "Sparkle",
         "Status": "ACTIVE"},
        {"PartNumber": "LP90002-9", "PartTypeName": "SCALE", "PartName": "Qn", "PartDisplayName": "Quantitative",
         "Status": "DEPRECATED"},
    ),
    f"{ACCESSORY}/PartFile/LoincPartLink_Primary.csv": table(
        LINK, link("LP90001-1", "Sparkle", "COMPONENT"), link("LP90002-9", "Qn", "SCALE_TYP")
    ),
    f"{ACCESSORY}/PartFile/LoincPartLink_Supplementary.csv": table(
        LINK, link("LP90002-9", "Qn", "SCALE_TYP"), link("LP90001-1", "Sparkle", "analyte"),
        link("LP90001-1", "Sparkle", "search"),
    ),
    f"{ACCESSORY}/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": table(
        HIERARCHY,
        {"CODE": "LP90009-4", "CODE_TEXT": "Laboratory"},
        {"CODE": "LP90001-1", "IMMEDIATE_PARENT": "LP90009-4", "PATH_TO_ROOT": "LP90009-4", "CODE_TEXT": "Sparkle"},
        {"CODE": "90001-1", "IMMEDIATE_PARENT": "LP90001-1", "PATH_TO_ROOT": "LP90009-4.LP90001-1", "CODE_TEXT": "x"},
        {"CODE": "90001-1", "IMMEDIATE_PARENT": "LP90009-4", "PATH_TO_ROOT": "LP90009-4", "CODE_TEXT": "x"},
    ),
    f"{ACCESSORY}/AnswerFile/AnswerList.csv": table(
        ANSWER_HEADER, answer("LA90001-1", "Merry", "1"), answer("LA90002-9", "Grim", "2"),
        answer("LA90001-1", "Merry", "1", "Short moods", "LL9002-9"),
        {"AnswerListId": "LL9003-7", "AnswerListName": "Elsewhere", "ExtDefinedYN": "Y"},
    ),
    f"{ACCESSORY}/AnswerFile/LoincAnswerListLink.csv": table(
        ANSWER_LINK,
        {"LoincNumber": "90003-7", "LongCommonName": "Mood of the day", "AnswerListId": "LL9001-1",
         "AnswerListName": "Moods"},
        {"LoincNumber": "90003-7", "LongCommonName": "Mood of the day", "AnswerListId": "LL9001-1",
         "AnswerListName": "Moods", "ApplicableContext": "90001-1"},
    ),
    f"{ACCESSORY}/PanelsAndForms/Loinc.csv": "not read",
    f"{ACCESSORY}/PanelsAndForms/AnswerList.csv": "not read",
    f"{ACCESSORY}/PanelsAndForms/LoincAnswerListLink.csv": "not read",
    f"{ACCESSORY}/LinguisticVariants/LinguisticVariants.csv": table(
        ["ID", "ISO_LANGUAGE", "ISO_COUNTRY", "LANGUAGE_NAME", "PRODUCER"],
        {"ID": "15", "ISO_LANGUAGE": "de", "ISO_COUNTRY": "DE"},
        {"ID": "8", "ISO_LANGUAGE": "fr", "ISO_COUNTRY": "CA"},
    ),
    f"{ACCESSORY}/LinguisticVariants/deDE15LinguisticVariant.csv": table(
        VARIANT, {"LOINC_NUM": "90001-1", "LONG_COMMON_NAME": "Funkeln im Serum"},
        {"LOINC_NUM": "90003-7", "COMPONENT": "Laune", "SYSTEM": "Mensch"},
    ),
    f"{ACCESSORY}/LinguisticVariants/frCA8LinguisticVariant.csv": table(
        VARIANT, {"LOINC_NUM": "90001-1", "LONG_COMMON_NAME": "Étincelle"}
    ),
}  # fmt: skip


def test_the_head_says_what_it_is() -> None:
    head, found, _ = load("loinc", zipped(MEMBERS), "Loinc_9.99.zip")
    assert (head["url"], head["version"], head["name"]) == ("http://loinc.org", "9.99", "LOINC")
    assert (head["content"], head["caseSensitive"], head["hierarchyMeaning"]) == ("complete", False, "is-a")
    kinds = {row["code"]: row["type"] for row in head["property"]}
    assert [kinds[code] for code in ("COMPONENT", "analyte", "STATUS", "LIST")] == [
        "Coding",
        "Coding",
        "string",
        "code",
    ]
    assert "search" not in kinds
    order = ["90001-1", "90002-9", "90003-7", "LP90001-1", "LP90002-9", "LP90009-4", "LL9001-1", "LL9002-9", "LL9003-7"]
    assert [concept.code for concept in found] == [*order, "LA90001-1", "LA90002-9"]


def test_a_term_has_its_axes_names_and_parents() -> None:
    _, found, _ = load("loinc", zipped(MEMBERS), "Loinc_9.99.zip")
    term = by_code(found)["90001-1"]
    assert (term.display, term.definition) == ("Sparkle [Mass/volume] in Serum", "How much it sparkles.")
    assert (term.parents, term.inactive) == (("LP90001-1", "LP90009-4"), False)
    assert values(term, "COMPONENT") == ["LP90001-1", "Sparkle"]
    assert values(term, "SCALE_TYP") == ["LP90002-9", "Qn"]
    assert values(term, "analyte") == ["LP90001-1"]
    assert values(term, "SYSTEM") == ["Ser"]
    assert values(term, "METHOD_TYP") == []
    assert values(term, "AskAtOrderEntry") == ["90002-9", "90003-7"]
    assert values(term, "CONSUMER_NAME") == ["Sparkle, Blood"]
    assert [row["value"] for row in term.designations] == ["Sparkle Ser-mCnc"]
    assert by_code(found)["90002-9"].inactive


def test_answers_know_their_lists_and_lists_their_terms() -> None:
    _, found, _ = load("loinc", zipped(MEMBERS), "Loinc_9.99.zip")
    concepts = by_code(found)
    assert values(concepts["90003-7"], "answer-list") == ["LL9001-1"]
    assert values(concepts["LL9001-1"], "answers-for") == ["90003-7"]
    assert values(concepts["LA90001-1"], "LIST") == ["LL9001-1", "LL9002-9"]
    assert concepts["LP90009-4"].display == "Laboratory"
    assert (concepts["LP90002-9"].display, concepts["LP90002-9"].inactive) == ("Quantitative", True)


@pytest.mark.parametrize(
    ("languages", "names"),
    [(("de",), ["Funkeln im Serum"]), (("fr-CA",), ["Étincelle"]), (("fr-FR",), []), (("*",), 2)],
)
def test_names_in_the_languages_that_are_asked_for(languages: tuple[str, ...], names: list[str] | int) -> None:
    _, found, _ = load("loinc", zipped(MEMBERS), "Loinc_9.99.zip", Asked(languages=languages))
    rows = [row["value"] for row in by_code(found)["90001-1"].designations if "language" in row]
    assert (len(rows) if isinstance(names, int) else rows) == names
    if languages == ("de",):
        (mood,) = by_code(found)["90003-7"].designations
        assert mood == {"language": "de-DE", "value": "Laune:Mensch"}


def test_what_a_release_lacks_is_named() -> None:
    with pytest.raises(Unprocessable, match=r"Loinc_9\.99\.zip has no LoincTable/Loinc\.csv"):
        load("loinc", zipped({"readme.txt": "x"}), "Loinc_9.99.zip")
    with pytest.raises(Unprocessable, match="give the parameter version"):
        load("loinc", table(LOINC_HEADER, TERM).encode(), "terms.csv")
    with pytest.raises(Unprocessable, match=r"Loinc\.csv, line 1: the header has no column LONG_COMMON_NAME"):
        load("loinc", zipped({"Loinc.csv": table(LOINC_HEADER[:10], TERM)}), "Loinc_9.99.zip")


def test_the_table_of_terms_alone_is_a_release_too() -> None:
    head, found, _ = load("loinc", table(LOINC_HEADER, TERM, MOOD).encode(), "Loinc.csv", Asked(version="9.99"))
    assert head["version"] == "9.99"
    assert values(by_code(found)["90001-1"], "COMPONENT") == ["Sparkle"]
